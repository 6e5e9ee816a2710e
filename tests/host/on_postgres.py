"""The tests of host/ on another store: `pytest --store postgres tests/host` keeps the log of each folder in PostgreSQL.

Systems that name a folder get a queue of that name, and readers of the folder read it. Tests that are about files, about several
processes on one folder or about a store of their own are left out; `DIFFERS` says why.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import perdure
from perdure.cli import existing_folder
from perdure.operations import audit
from perdure.store import addresses
from tests.postgres_server import shared_server

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from perdure.store import EventStore, LogReader

_FILES = "it is about the files of a folder"
_PROCESSES = "it is about several processes on one folder"
_SUBPROCESS = "another process of it writes the folder itself"
DIFFERS: dict[str, str] = {
    "tests/host/cli/": "commands are tried on addresses of databases in care/test_migrate_command",
    "tests/host/processes/": _PROCESSES,
    "front_door/test_same_program": "it names its engines itself",
    "recovery/test_bad_folders": _FILES,
    "recovery/test_moved_folder": _FILES,
    "recovery/test_live_copy": _FILES,
    "recovery/test_repaired": _FILES,
    "recovery/test_start_reads": _FILES,
    "outbox/test_outbox_hosts": _SUBPROCESS,
    "test_process_that_dies_between_commit_and_relay": _SUBPROCESS,
    "test_newer_payload_survives_a_crash": _SUBPROCESS,
    "test_batch_is_all_or_none": _FILES,
    "test_verify_finds_removed_and_swapped_frames": _FILES,
    "test_verify_finds_each_changed_byte": _FILES,
    "test_snapshot_and_what_came_after_equals": _FILES,
    "test_last_frame_torn_at_every_byte": _FILES,
    "test_flipped_byte_in_the_middle": _FILES,
    "test_snapshot_older_than_the_log_answers": _FILES,
    "test_a_deleted_folder_of_another_system": _FILES,
    "test_a_system_shows_its_folder": _FILES,
    "test_the_live_system_of_a_folder_is_found": "the live system is found by the folder's path",
    "test_kept_history_is_returned": "history is dropped frame by frame, not segment by segment",
    "test_an_act_stands_in_the_frame_of_its_effect": _FILES,
    "test_a_client_cannot_say_that_it_is_another_process": _PROCESSES,
    "test_nothing_that_a_dead_process_held_blocks_anyone": _SUBPROCESS,
    "test_a_child_that_exits_as_a_program_does": _SUBPROCESS,
    "test_an_interpreter_that_exits_stops_what_runs": _SUBPROCESS,
}
"""Parts of test ids: why they are not run on PostgreSQL."""


def why_not(test: pytest.Item) -> str | None:
    """Return why a test is not run on PostgreSQL; None if it is."""
    return next((why for part, why in DIFFERS.items() if part in test.nodeid), None)


def queue_of(folder: str | os.PathLike[str]) -> str:
    """Return the queue that stands for a folder."""
    return os.path.realpath(folder)[-150:]


def use_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every system that names a folder keep its log in PostgreSQL, and let every reader of the folder read that."""
    dsn = shared_server().dsn

    def store_of(system: perdure.System, folder: str | Path | None) -> EventStore:
        assert folder is not None
        options = system.options
        return perdure.PostgresStore(
            dsn, name=queue_of(folder), snapshots_kept=options.snapshots_kept, drop_history=options.history != "keep"
        )

    def reader_of(address: str | os.PathLike[str]) -> LogReader:
        return addresses.open_reader(f"{dsn}#{quote(queue_of(address), safe='')}/0")

    monkeypatch.setattr(perdure.System, "_folder_store", store_of)
    monkeypatch.setattr(audit, "open_reader", reader_of)
    monkeypatch.setattr(existing_folder, "open_reader", reader_of)
