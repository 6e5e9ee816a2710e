"""`manage.py perdure`."""
