"""What an error of the operating system means for a person: its text and what to do about it, by its number.

Where such errors are caught is in the folders that use files. An error that no person can mend keeps its text alone.
"""

from __future__ import annotations

import errno

__all__ = ["ADVICE", "with_advice"]

_ROOM = "Make room on its file system, or raise the quota"
_RIGHTS = "Check that this user may use it: its permissions, and those of the folders above"
_DEVICE = "Check the device and the system's log"
ADVICE = {
    errno.EMFILE: "Close files and connections of this process, or raise its limit of open files (`ulimit -n`)",
    errno.ENFILE: "Close files of other programs, or raise the system's limit of open files (`fs.file-max`)",
    errno.ENOMEM: "Give this process more memory",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "Raise the limit of file sizes of this process (`ulimit -f`)",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "Its file system is mounted read-only: mount it for writing, or name another folder",
    errno.EIO: _DEVICE,
    errno.ENODEV: _DEVICE,
    errno.ESTALE: "The file server no longer knows it: mount it anew",
    errno.ENOENT: "Check the path",
    errno.EISDIR: "Check the path: a folder is there, where a file should be",
    errno.ENOTDIR: "Check the path: one of its parts is a file, or a link that leads nowhere",
    errno.ELOOP: "Check the path: one of its parts is a link that is not followed",
    errno.ENAMETOOLONG: "Choose a shorter path",
}


def with_advice(error: OSError) -> str:
    """Return the text of an error of the operating system, followed by what to do about it where that is known.

    Both without a full stop at the end, for the sentence that it is put in.
    """
    text = error.strerror or str(error)
    advice = ADVICE.get(error.errno or 0)
    return f"{text}. {advice}" if advice else text
