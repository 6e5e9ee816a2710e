"""An address of a kind that perdure does not know is refused everywhere: no folder is made of it, and no error repeats it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.store import accept_loss, discard_copies
from perdure.store.addresses import create_tables, open_reader, open_store, open_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "s3cret"  # noqa: S105 - what must be in no error
FOREIGN = [
    "postgresql+psycopg://shop:s3cret@db.example:5432/shop#orders",
    "POSTGRESQL://shop:s3cret@db.example/shop#orders",
    " postgresql://shop:s3cret@db.example/shop#orders",
    "mysql://shop:s3cret@db.example/shop",
    "host=db.example user=shop password=s3cret dbname=shop",
]
NO_QUEUE = "postgresql://shop:s3cret@db.example/shop"
CALLS: dict[str, Callable[[str], Any]] = {
    "System": perdure.System,
    "shared System": lambda address: perdure.System(address, shared=True),
    "connect": lambda address: perdure.connect(address, timeout=0.1),
    "connect, spooling": lambda address: perdure.connect(address, spool=True, timeout=0.1),
    "Audit": perdure.Audit,
    "backup": lambda address: perdure.backup(address, "copy"),
    "backup into": lambda address: perdure.backup("queue", address),
    "restore": lambda address: perdure.restore(address, "copy"),
    "restore into": lambda address: perdure.restore("copy", address),
    "export": lambda address: perdure.export(address, "events.jsonl"),
    "accept_loss": accept_loss,
    "discard_copies": discard_copies,
    "create_tables": create_tables,
    "open_reader": open_reader,
    "open_store": open_store,
    "open_target": open_target,
}


@pytest.mark.parametrize("address", FOREIGN)
@pytest.mark.parametrize("call", CALLS)
def test_foreign_address_is_refused_and_no_error_repeats_its_password(
    call: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with perdure.System("queue"):
        pass
    with pytest.raises(perdure.PerdureError) as told:
        CALLS[call](address)
    assert SECRET not in "".join(traceback.format_exception(told.value))
    assert "postgresql://USER@HOST/DATABASE" in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queue"]


@pytest.mark.parametrize("call", ["accept_loss", "discard_copies", "restore"])
def test_address_of_a_database_without_what_is_needed_is_not_repeated(call: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(perdure.StoreUnavailable) as told:
        CALLS[call](NO_QUEUE)
    assert SECRET not in "".join(traceback.format_exception(told.value))
