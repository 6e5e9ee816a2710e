"""The outbox's table, in each database that can have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations

from perdure.outbox.sql_outbox import Outbox

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the table; a database that the outbox is not written for stays as it is."""
    if editor.connection.vendor in ("sqlite", "postgresql"):
        Outbox(editor.connection).create_table()


def drop(_apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the table."""
    editor.execute("DROP TABLE IF EXISTS perdure_outbox")


class Migration(migrations.Migration):
    """See the module."""

    dependencies = ()
    operations = (migrations.RunPython(create, drop),)
