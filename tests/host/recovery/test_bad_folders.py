"""Folders that cannot be used (a file, read-only, of a newer format, locked): each gives a clear error, and nothing is lost.

Damaged logs are in tests/store.
"""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import attrs
import pytest

import perdure
from perdure.store.format import segment as sg
from tests.programs import Program, run


@attrs.frozen
class Note:
    """A message."""

    text: str


@pytest.mark.parametrize("below", [False, True])
def test_folder_that_is_a_file(tmp_path: Path, below: bool) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    target = path / "data" if below else path
    with pytest.raises(perdure.StoreUnavailable, match=r"Not a directory.*one of its parts is a file"):
        perdure.System(target).start()
    with pytest.raises(perdure.StoreUnavailable):
        perdure.Audit(target)
    assert path.read_text() == "mine"


def test_folder_that_is_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(perdure.StoreUnavailable, match="a link that leads nowhere"):
        perdure.System(link).start()
    assert not (tmp_path / "gone").exists()


def test_folder_that_is_read_only(folder: Path) -> None:
    """The error names the folder; once it is writable again, everything is there."""
    system = perdure.System(folder)
    with system:
        ident = system.publish(Note("a"))
    seal, unseal = _read_only(folder)
    seal()
    try:
        with pytest.raises(perdure.StoreUnavailable, match=folder.name):
            system.start()
        assert perdure.Audit(folder).timeline(ident)
    finally:
        unseal()
    with system:
        delivery = system.checkout(Note)
        assert delivery is not None
        assert delivery.id == ident


def _read_only(folder: Path) -> tuple[Any, Any]:
    """Return a function that makes a folder and its files read-only, and one that undoes it."""
    paths = [*folder.iterdir(), folder]
    if os.geteuid():
        return (lambda: _set_mode(paths, 0o500), lambda: _set_mode(paths[::-1], 0o700))
    # Permissions do not bind root; the immutable flag does.
    probe = subprocess.run(["chattr", "-i", str(folder)], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("root, and no immutable flag on this file system")
    return (
        lambda: subprocess.run(["chattr", "+i", *map(str, paths)], check=True),
        lambda: subprocess.run(["chattr", "-i", *map(str, paths)], check=True),
    )


def _set_mode(paths: list[Path], mode: int) -> None:
    for path in paths:
        path.chmod(mode)


TRYING = """
import os, sys, perdure.operations.audit, perdure.system  # while that is allowed: the interpreter may lie where only root may look
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
try:
    perdure.System(sys.argv[1]).start()
except perdure.StoreUnavailable as error:
    print(error)
print(len(list(perdure.Audit(sys.argv[1]).events(type="Published"))))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.parametrize("protected", ["folder", "files", "owner"])
def test_folder_that_an_unprivileged_user_may_only_read(protected: str) -> None:
    """Run as a user without root's rights: a system is refused with the path named, and audit still reads."""
    with tempfile.TemporaryDirectory() as top:  # not pytest's: only its owner may enter that
        folder = Path(top) / "data"
        with perdure.System(folder) as system:
            system.publish(Note("a"))
        Path(top).chmod(0o755)
        nobody, root = 65534, 0
        for path in (folder, *folder.iterdir()):
            os.chown(path, root if protected == "owner" else nobody, -1)
            bits = 0o555 if path == folder else 0o444
            path.chmod(bits if protected != "files" or path != folder else 0o755)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        done = run(["-c", TRYING, str(folder)], cwd="/", timeout=60)
        assert done.returncode == 0, done.stderr
        output, published = done.stdout.splitlines()
        assert str(folder) in output
        assert "Permission denied" in output
        assert published == "1"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_folder_of_a_newer_format(folder: Path) -> None:
    """A log that a newer version wrote is refused for that, not as damage, and stays unchanged."""
    system = perdure.System(folder)
    with system:
        system.publish(Note("a"))
    segment = next(folder.glob("log-*.seg"))
    good = segment.read_bytes()
    newer = bytearray(good)
    struct.pack_into("<H", newer, 8, 999)
    struct.pack_into("<I", newer, sg.HEADER_BYTES - 4, zlib.crc32(newer[: sg.HEADER_BYTES - 4]))
    segment.write_bytes(newer)
    with pytest.raises(perdure.StoreUnavailable, match="newer"):
        system.start()
    assert segment.read_bytes() == newer
    segment.write_bytes(good)
    with system:
        assert system.admin.metrics().ready == 1


LOCKING = """
import sys, perdure
with perdure.System(sys.argv[1]) as system:
    system.publish({"from": "owner"})
    print("open", flush=True)
    sys.stdin.read()
"""


def test_folder_locked_by_a_live_process(folder: Path) -> None:
    """`StoreLocked` names the owner's pid and does not disturb the owner; once the owner has ended, the folder opens."""
    with Program(["-c", LOCKING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(perdure.StoreLocked, match=str(owner.pid)) as caught:
            perdure.System(folder).start()
        assert caught.value.pid == owner.pid
        owner.communicate("", timeout=30)
        assert owner.returncode == 0
    with perdure.System(folder) as system:
        assert system.admin.metrics().ready == 1


def test_folder_in_use_by_this_process(folder: Path) -> None:
    with perdure.System(folder) as system:
        with pytest.raises(perdure.StoreLocked, match="this very process"):
            perdure.System(folder).start()
        system.publish(Note("a"))


@pytest.mark.parametrize("arguments", [{}, {"folder": "x", "store": perdure.MemoryStore()}])
def test_folder_or_store_but_not_both(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="folder"):
        perdure.System(**arguments)
