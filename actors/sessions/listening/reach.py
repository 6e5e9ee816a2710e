"""Which other users may reach the owner's socket: modes and access lists of the folder and of the socket in it.

What a user may ask once it is connected is in `session`; the peer's uid is checked there too, whatever the modes say.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["let_in"]

_ACL = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xFFFF_FFFF
"""The id of an entry that names no user."""
ENTER, USE = 0o1, 0o6


def let_in(folder: Path, socket_file: Path, uids: Collection[int]) -> None:
    """Let users enter a folder and connect to the socket in it, and do nothing else there.

    A folder that its group may enter (mode 0710, say) stays as it is, and the socket is for that group; else both get an access
    list with these users. Without any users, a list that this function gave the folder before is taken away. The socket's file has
    mode 0600 before.

    Raises:
        OSError: the file system has no access lists, or the group is not one of this process; says what to do.
    """
    if not uids:
        _take_away_list(folder)
        return
    status = folder.stat()
    has_list = _has_list(folder)
    if status.st_mode & stat.S_IXGRP and not has_list:
        os.chown(socket_file, -1, status.st_gid)
        socket_file.chmod(0o660)
        return
    try:
        os.setxattr(folder, _ACL, _list(stat.S_IMODE(status.st_mode) >> 6, uids, ENTER))
        os.setxattr(socket_file, _ACL, _list(USE, uids, USE))
    except OSError as error:
        msg = (
            f"allowed_uids: no access list can be set ({error.strerror}). Make a group that has these users and this one the group "
            f"of the folder, and let it enter: chgrp GROUP {folder}; chmod 0710 {folder}"
        )
        raise OSError(error.errno, msg) from error


def _take_away_list(folder: Path) -> None:
    """Take away the access list that `let_in` gave a folder: others stay as they are, and so does one of another user's folder."""
    with contextlib.suppress(OSError):
        found, status = os.getxattr(folder, _ACL), folder.stat()
        users = [uid for tag, _, uid in _ENTRY.iter_unpack(found[len(_VERSION) :]) if tag == _USER]
        mode = stat.S_IMODE(status.st_mode)
        if users and found == _list(mode >> 6, users, ENTER):
            folder.chmod(mode & stat.S_IRWXU)  # first: the group's bits are what the list gives to its users at most
            os.removexattr(folder, _ACL)


def _has_list(path: Path) -> bool:
    try:
        return len(os.getxattr(path, _ACL)) > len(_VERSION) + 3 * _ENTRY.size
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise


def _list(owner: int, uids: Collection[int], rights: int) -> bytes:
    """Return an access list: all of `owner` for the owner, `rights` for these users, and nothing for others."""
    users = [(_USER, rights, uid) for uid in sorted(uids)]
    entries = [(_OWNER, owner & 0o7, _NOBODY), *users, (_GROUP, 0, _NOBODY), (_MASK, rights, _NOBODY), (_OTHERS, 0, _NOBODY)]
    return _VERSION + b"".join(_ENTRY.pack(*entry) for entry in entries)
