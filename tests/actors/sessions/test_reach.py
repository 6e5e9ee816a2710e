"""The access list that lets other users reach a folder's socket: given with `allowed_uids`, and taken away with it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from perdure.actors.sessions.listening.reach import _ACL, ENTER, USE, _list, let_in

if TYPE_CHECKING:
    from pathlib import Path

USERS = {1000, 1001}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder with a socket file, on a file system that has access lists."""
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    (folder / "socket").touch(0o600)
    try:
        os.setxattr(folder, _ACL, _list(7, USERS, ENTER))
        os.removexattr(folder, _ACL)
    except OSError as error:
        pytest.skip(f"no access lists here: {error}")
    folder.chmod(0o700)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_list_goes_when_no_other_user_is_allowed_any_more(folder: Path) -> None:
    let_in(folder, folder / "socket", USERS)
    assert _ACL in os.listxattr(folder)
    let_in(folder, folder / "socket", {1000})
    assert os.getxattr(folder, _ACL) == _list(7, {1000}, ENTER), "and with one user that is not"
    let_in(folder, folder / "socket", ())
    assert _ACL not in os.listxattr(folder)
    assert mode(folder) == 0o700


@pytest.mark.parametrize("rights", [USE, 7])
def test_a_list_that_an_administrator_gave_stays(folder: Path, rights: int) -> None:
    given = _list(7, USERS, rights)
    os.setxattr(folder, _ACL, given)
    let_in(folder, folder / "socket", ())
    assert os.getxattr(folder, _ACL) == given


def test_a_folder_without_a_list_stays_as_it_is(folder: Path) -> None:
    folder.chmod(0o710)
    let_in(folder, folder / "socket", ())
    assert mode(folder) == 0o710
