"""Several processes on one folder: `processes` that publish, `members` that handle, the `takeover` after a kill."""
