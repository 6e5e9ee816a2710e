"""The conditions of a data folder as a place: rights, room, its file system, and leftovers.

Nothing is changed, and no byte of the log is read: that is `perdure verify`'s.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.store.conditions import Condition
from perdure.store.disk.folder_lock import live_owner
from perdure.store.files.listing.folder_marks import BACKUP_FILE
from perdure.store.retention_hold import HOLD_FILE, HOLD_FILE_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from perdure.store.files.listing.folder_listing import FolderListing

__all__ = ["file_system_of", "folder_conditions", "judged_space"]

ROOM_BYTES = 256 << 20
"""Less free room than this is a problem: a snapshot and a few segments may need it at any time."""
ROOM_PART = 0.05
INODES_MIN = 100
NETWORKED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.s3fs", "afs")
FORGETFUL = ("tmpfs", "ramfs")
MOUNTS = Path("/proc/self/mountinfo")
SOCKET = "owner.sock"


def folder_conditions(listing: FolderListing) -> Iterator[Condition]:
    """Yield what is found. Raises OSError where the folder cannot be looked at."""
    folder, names = listing.path, listing.disk.names(listing.path)
    yield _rights(folder)
    yield _exposure(listing, names)
    usage, files = shutil.disk_usage(folder), os.statvfs(folder)
    yield judged_space(usage.free, usage.total, files.f_favail if files.f_files else None)
    kind = file_system_of(folder.resolve(), MOUNTS.read_text(encoding="utf-8") if MOUNTS.exists() else "")
    if kind:
        yield _file_system(kind)
    yield from _left_lying(folder, names)


def _rights(folder: Path) -> Condition:
    lacking = [word for word, right in (("read", os.R_OK), ("write", os.W_OK), ("enter", os.X_OK)) if not os.access(folder, right)]
    if not lacking:
        return Condition("permissions", "ok", f"this user may read and write {folder}")
    return Condition(
        "permissions",
        "problem",
        f"this user may not {' or '.join(lacking)} {folder}, which belongs to user {folder.stat().st_uid}",
        "run as the user that the System runs as, or give this one the right",
    )


def _exposure(listing: FolderListing, names: Collection[str]) -> Condition:
    exposed = listing.exposure()
    if exposed:
        return Condition("other users", "problem", exposed, "take that right from them: it decides what handlers get")
    readable = [name for name in names if name.endswith((".seg", ".snap")) and _is_open(listing.path / name)]
    if readable and _is_open(listing.path):
        what = f"{len(readable)} file(s) of the log can be read by other users, {readable[0]} for one"
        return Condition("other users", "note", what, f"chmod -R go= {listing.path}")
    return Condition("other users", "ok", "only its owner can write it")


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 1 << 30 else f"{count / 2**20:,.1f} MiB"


def judged_space(free: int, total: int, inodes: int | None) -> Condition:
    """Return the condition for an amount of room: bytes that are free, bytes of the file system, files that can still be made."""
    text = f"{_size(free)} of {_size(total)} are free"
    if free < ROOM_BYTES or (inodes is not None and inodes < INODES_MIN):
        what = text if free < ROOM_BYTES else f"{inodes} files can still be made"
        advice = "make room now: a full disk stops publishing, and the system goes on by itself once there is room"
        return Condition("disk space", "problem", what, advice)
    if free < total * ROOM_PART:
        return Condition("disk space", "note", text, "make room, or limit the history (Options.history)")
    return Condition("disk space", "ok", text)


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the kind of file system that a folder is on, from the text of `mountinfo`; empty if that is unknown."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split()
        if not dash or len(fields) < 5:  # noqa: PLR2004 - the fifth is the mount point
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _file_system(kind: str) -> Condition:
    if kind in FORGETFUL:
        advice = "name a folder on a disk: nothing here outlasts a restart of the machine"
        return Condition("file system", "problem", f"{kind}, which is memory", advice)
    if kind in NETWORKED:
        advice = "use a local disk, or PostgreSQL for several machines: its locks and syncs are too weak"
        return Condition("file system", "problem", f"{kind}, over a network", advice)
    if kind == "overlay":
        advice = "put the folder on a volume: this layer goes with its container"
        return Condition("file system", "note", "overlay, the writable layer of a container", advice)
    return Condition("file system", "ok", kind)


def _left_lying(folder: Path, names: Collection[str]) -> Iterator[Condition]:
    owner = live_owner(folder)
    yield Condition("owner", "ok", f"process {owner} uses the folder" if owner is not None else "no process uses the folder")
    if BACKUP_FILE in names:
        yield Condition("kind", "note", "this is a backup", "no System starts on it; `perdure restore` makes a folder of it")
    if HOLD_FILE in names:
        age_s = time.time() - (folder / HOLD_FILE).stat().st_mtime
        is_old = age_s >= HOLD_FILE_S
        what = f"{HOLD_FILE} is {age_s / 60:,.0f} minutes old and " + ("holds nothing any more" if is_old else "holds history")
        yield Condition("history", "note", what, f"remove it if no copy is being made: rm {folder / HOLD_FILE}")
    void = [name for name in names if name.endswith(".void")]
    if void:
        what = f"{len(void)} snapshot(s) were ahead of the log after a power cut and are set aside"
        advice = f"remove them: rm {folder}/*.void. A disk that loses what was synced should be replaced"
        yield Condition("leftovers", "note", what, advice)
    damaged = [name for name in names if name.endswith(".damaged")]
    if damaged:
        advice = "all whole publishes of them were taken in; look at what is lost, then remove them"
        yield Condition("spool", "problem", f"{len(damaged)} spool file(s) were damaged: {damaged[0]}", advice)
    if owner is not None:
        return
    spooled = [name for name in names if name.endswith(".spool")]
    if spooled:
        what = f"{len(spooled)} spool file(s) with publishes wait for an owner"
        yield Condition("spool", "note", what, "start a System on the folder: it takes them in")
    unfinished = [name for name in names if name.endswith(".tmp")]
    if unfinished:
        yield Condition(
            "leftovers", "note", f"{len(unfinished)} file(s) of a crash: {unfinished[0]}", "the next start removes them"
        )
    if SOCKET in names:
        yield Condition("socket", "note", f"{SOCKET} is left of an owner that is gone", "nothing: the next owner replaces it")
