"""Publish from Django under gunicorn, once the transaction of the request is committed.

perdure run worker:system & gunicorn --preload --workers 3 --threads 4 django_app:application

With `--preload`, the line that connects runs before gunicorn forks; each worker connects anew by itself. A process that dies
between the commit and `publish` publishes nothing: where the two must go together, use `perdure.Outbox`.
"""

from functools import partial

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from orders import FOLDER, Placed

import perdure

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db", "OPTIONS": {"timeout": 60}}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="of an example",  # noqa: S106 - signs nothing here
)
django.setup()
client = perdure.connect(FOLDER)


def place(_request: HttpRequest, order: str, items: int) -> JsonResponse:
    """Keep an order in the database, and publish it if that commits."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT OR REPLACE INTO orders VALUES (%s, %s)", [order, items])
        transaction.on_commit(partial(client.publish, Placed(order), id=f"order-{order}"))
        if not items:
            transaction.set_rollback(True)  # an order of nothing: nothing is kept, and nothing is published
    return JsonResponse({"id": f"order-{order}"}, status=202 if items else 400)


def show(_request: HttpRequest, order: str) -> JsonResponse:
    """Show how far an order is."""
    return JsonResponse({"status": client.state(f"order-{order}").status})


urlpatterns = [path("orders/<order>/<int:items>", place), path("orders/<order>", show)]
application = get_wsgi_application()
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT PRIMARY KEY, items INTEGER)")
connection.close()  # a connection of a database does not survive a fork
