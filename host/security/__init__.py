"""Rights: who may do what, to messages of which type. One question, `authorize(principal, action, type) -> bool`, for all fronts.

A host gives the function to `System(..., authorize=...)`. It is asked

- in the process of a System, or of a Cluster, for what is done, published, taken out and looked at within
  `perdure.acting_as(principal)`; outside of it the application may do everything;
- for each process that asks over the folder's socket, after the rights by uid of `Options.allowed_uids`. The principal is the user
  that the kernel says the process runs as, whatever name it acts under;
- for each host that asks through the database, as `database:ROLE`; for what was left there to be published, as `database`;
- by the console, for the person that has signed in.

Only `True` allows. An exception, or any other value, refuses, and nothing is written. The type is empty where an action is about
all types, or about none. `viewer`, `operator` and `administrator` are presets, `roles` picks one for each principal.

`presets` has these, `rights` asks the function and makes the error of a refusal.

The table of actions is in `perdure.events.actions`. Not here: putting an act on record (`perdure.events.acts`), and the name that
an act runs under (`perdure.arguments.acting`).
"""

from perdure.security.presets import administrator, operator, roles, viewer
from perdure.security.rights import Authorize, Rights

__all__ = ["Authorize", "Rights", "administrator", "operator", "roles", "viewer"]
