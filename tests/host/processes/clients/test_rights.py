"""Other users of the machine: which of them reach the owner's socket, and what they may do there. Needs root, to become them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import perdure
from tests.host.processes.shop import Order, shop
from tests.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
ONE, OTHER = 54321, 54322
TRYING = """
import os, sys
import perdure
from perdure.events.errors import PerdureError
with perdure.connect(sys.argv[1]) as client:
    client.state("x")  # as root: so all modules are loaded, which another user may not be able to read
os.setresgid(int(sys.argv[3]), int(sys.argv[3]), int(sys.argv[3]))
os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
try:
    with perdure.connect(sys.argv[1], timeout=float(sys.argv[4])) as client:
        print("published", client.publish({"a": 1}))
        for call in (lambda: client.checkout(dict), lambda: client.admin.pause("shop.Order")):
            try:
                call()
                print("done")
            except PerdureError as error:
                print(error)
except PerdureError as error:
    print(error)
try:
    print(os.listdir(sys.argv[1]))
except OSError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as top:  # not pytest's: only its owner may enter that
        Path(top).chmod(0o755)
        yield Path(top) / "shop"


def run_as(uid: int, folder: Path, gid: int = 65534, timeout_s: float = 20.0) -> list[str]:
    """What a process of another user prints."""
    done = run(["-c", TRYING, str(folder), str(uid), str(gid), str(timeout_s)], timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_root
def test_a_user_that_is_allowed_may_do_what_it_is_allowed_and_sees_no_file(open_folder: Path) -> None:
    with shop(str(open_folder), options=perdure.Options(allowed_uids={ONE: ["publish"]})) as system:
        published, checked_out, paused, listed = run_as(ONE, open_folder)
        assert system.state(published.split()[1]).known
        assert "may not consume" in checked_out
        assert "may not administer" in paused
        assert "Permission denied" in listed
        assert not [path for path in open_folder.iterdir() if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077]


READS = {
    "list": lambda client: client.dead_letters.list(),
    "get": lambda client: client.dead_letters.get("dead"),
    "count letters": lambda client: client.dead_letters.count_where("payload.number=1"),
    "count messages": lambda client: client.admin.count_where("payload.number=1"),
    "bulks": lambda client: client.dead_letters.bulks(),
}
"""What shows messages of others, or counts by what is in them."""
FIGURES = {
    "stats": lambda client: client.dead_letters.stats(),
    "metrics": lambda client: client.admin.metrics(),
    "state": lambda client: client.state("dead"),
}
CHANGES = {
    "replay": lambda client: client.dead_letters.replay("dead"),
    "replay all": lambda client: client.dead_letters.replay_all(),
    "purge": lambda client: client.dead_letters.purge(),
    "edit": lambda client: client.dead_letters.edit_where("type~Order", {"number": 2}, timeout=0),
}


@needs_root
@pytest.mark.parametrize("right", ["publish", "consume", "administer"])
def test_messages_of_others_are_seen_and_changed_with_the_right_to_administer_and_with_no_other(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    monkeypatch.setattr("perdure.actors.sessions.server.peer_of", lambda _: (1, ONE))
    with shop(str(open_folder), options=perdure.Options(allowed_uids={ONE: [right]})) as system:
        system.publish(Order(-1), id="dead")
        system.drain(timeout=20)
        with perdure.connect(open_folder) as client:
            allowed = [name for name, act in {**READS, **FIGURES, **CHANGES}.items() if _is_allowed(client, act)]
            assert allowed == {"publish": [*FIGURES], "consume": [], "administer": [*READS, *CHANGES]}[right]


def _is_allowed(client: perdure.Client, act: Callable[[perdure.Client], object]) -> bool:
    try:
        act(client)
    except perdure.UnknownMessage:
        return True  # another act has replayed or purged it
    except perdure.InvalidMessage as error:
        assert "may not" in str(error)  # noqa: PT017 - one of many
        return False
    return True


@needs_root
def test_another_user_is_told_what_to_do(open_folder: Path) -> None:
    with shop(str(open_folder)):
        refused, _ = run_as(OTHER, open_folder, timeout_s=0.5)
        assert f"uid {OTHER}" in refused
        assert f"allowed_uids={{{OTHER}: ['publish']}}" in refused


@needs_root
@pytest.mark.long(seconds=2)
def test_a_group_that_may_enter_the_folder_is_used_and_its_users_are_checked(open_folder: Path) -> None:
    open_folder.mkdir()
    os.chown(open_folder, 0, 60001)
    open_folder.chmod(0o710)
    options = perdure.Options(allowed_uids={ONE: ["publish", "consume", "administer"]})
    with shop(str(open_folder), options=options):
        assert [line for line in run_as(ONE, open_folder, gid=60001)[1:3] if line != "done"] == []
        (refused, _) = run_as(OTHER, open_folder, gid=60001, timeout_s=0.5)
        assert f"runs as uid {OTHER}" in refused
        assert "allowed_uids" in refused


@needs_root
def test_a_user_that_is_allowed_no_more_is_refused(open_folder: Path) -> None:
    with shop(str(open_folder), options=perdure.Options(allowed_uids={ONE: ["publish"]})):
        assert run_as(ONE, open_folder)[0].startswith("published")
    with shop(str(open_folder), options=perdure.Options(allowed_uids={OTHER: ["publish"]})):
        assert "allowed_uids" in run_as(ONE, open_folder, timeout_s=0.5)[0]
        assert run_as(OTHER, open_folder)[0].startswith("published")
    with shop(str(open_folder)):
        assert "allowed_uids" in run_as(OTHER, open_folder, timeout_s=0.5)[0]


def test_a_process_of_a_user_that_is_not_named_is_refused_at_the_door(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that the file system lets in."""
    monkeypatch.setattr("perdure.actors.sessions.server.peer_of", lambda _: (1, os.geteuid() + 1))
    with shop(str(folder)), pytest.raises(perdure.NotRunning, match="belongs to uid"):
        perdure.connect(folder, timeout=0.5)


def test_without_other_users_the_socket_and_the_folder_are_for_one_user(folder: Path) -> None:
    with shop(str(folder)), perdure.connect(folder) as client:
        assert client.publish(Order(1))
        assert stat.S_IMODE((folder / "owner.sock").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_system_without_access_lists_is_an_error_that_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", fails)
    with pytest.raises(perdure.StoreUnavailable, match=r"chgrp GROUP .*chmod 0710"):
        shop(str(folder), options=perdure.Options(allowed_uids={ONE: ["publish"]})).start()


@pytest.mark.parametrize(
    "wrong",
    [{1000: ["read"]}, {1000: "publish"}, {-1: ["publish"]}, {1000: []}, {True: ["publish"]}, {1.5: ["publish"]}, 7, "x", [1]],
)
def test_what_is_no_table_of_rights_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="allowed_uids"):
        perdure.Options(allowed_uids=wrong)


def test_rights_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    from perdure.config import load

    file = tmp_path / "p.toml"
    file.write_text('[perdure]\nallowed_uids = {1000 = ["consume", "publish"]}\n')
    assert dict(load(path=file, environ={}).allowed_uids) == {1000: ("publish", "consume")}
    environ = {"PERDURE_ALLOWED_UIDS": "1000:publish+consume, 1001:administer"}
    assert dict(load(environ=environ).allowed_uids) == {1000: ("publish", "consume"), 1001: ("administer",)}
    assert dict(perdure.Options().allowed_uids) == {}
