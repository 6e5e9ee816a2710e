"""A Django app: `INSTALLED_APPS = [..., "perdure.integrations.django"]`, and `PERDURE = {"FOLDER": BASE_DIR / "orders-data"}`.

`handlers` is a `perdure.Handlers`: declare on it in a module `handlers` of each app, which is imported by itself. `publish`
publishes once the transaction has committed; `outbox` writes into the transaction. `manage.py perdure` runs the worker, and every
command of perdure on the folder of the settings.

`apps` is what Django finds. `functions` has what a project calls, `management` the command, `connections` what keeps
database connections clean, `migrations` the outbox's table.
"""

from perdure.handling.handlers import Handlers
from perdure.integrations.django.functions import client, outbox, publish, system, use

__all__ = ["client", "handlers", "outbox", "publish", "system", "use"]

handlers = Handlers()
"""The handlers of all apps; `system()` includes them."""
