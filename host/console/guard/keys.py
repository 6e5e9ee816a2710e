"""The key that signs the sessions of the console: the host's own, one kept in the data folder, or one of this process.

Not here: what is signed (`sessions`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

from perdure.console.guard.seal import KEY_BYTES, Seal
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEY_NAME", "of_folder", "of_process", "of_secret"]

logger = GuardedLogger("perdure")
KEY_NAME = "console.key"
SECRET_BYTES_MIN = 16
TRIES = 10


def of_process() -> Seal:
    """Return a seal with a new random key: its sessions end with this process."""
    return Seal(secrets.token_bytes(KEY_BYTES))


def of_secret(secret: str | bytes) -> Seal:
    """Return the seal of a secret of the host: the same in each process with the same secret.

    Raises:
        TypeError: the secret is neither a text nor bytes.
        ValueError: it is shorter than `SECRET_BYTES_MIN`.
    """
    if not isinstance(secret, (str, bytes)):
        msg = f"secret: a text or bytes, the same for all workers, not {type(secret).__name__}"
        raise TypeError(msg)
    data = secret.encode() if isinstance(secret, str) else secret
    if len(data) < SECRET_BYTES_MIN:
        msg = f"secret: at least {SECRET_BYTES_MIN} bytes that cannot be guessed, for example of secrets.token_urlsafe()"
        raise ValueError(msg)
    return Seal(hashlib.sha256(b"perdure console\0" + data).digest())


def of_folder(folder: Path) -> Seal:
    """Return the seal of a data folder, whose key is in a file that only its user can read. The first call makes the file.

    Where this process can neither read nor make the file (another user, a folder that is read-only), the seal is that of this
    process.

    Raises:
        PerdureError: other users can read the key and so could make sessions; the error names the remedy.
    """
    path = folder / KEY_NAME
    for _ in range(TRIES):
        try:
            return Seal(_read(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.info("the console's key %s cannot be read, so its sessions are of this process: %s", path, error)
            return of_process()
        try:
            _make(path)
        except FileNotFoundError:  # an owner that starts removes unfinished files
            continue
        except OSError as error:
            logger.info("the console's key %s cannot be made, so its sessions are of this process: %s", path, error)
            return of_process()
    return of_process()


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        key = file.read(KEY_BYTES + 1)
    is_others = os.name == "posix" and (found.st_mode & 0o077 or found.st_uid not in (os.geteuid(), path.parent.stat().st_uid, 0))
    if not stat.S_ISREG(found.st_mode) or is_others or len(key) != KEY_BYTES:
        why = "is not a whole key" if len(key) != KEY_BYTES else "can be read or was made by others"
        msg = (
            f"{shown(str(path))} signs the sessions of the console, and {why}: remove it; the sessions that it has signed end then"
        )
        raise PerdureError(msg)
    return key


def _make(path: Path) -> None:
    """Write a new key atomically; another process may have written one first, which then stays."""
    draft = path.with_name(f"{KEY_NAME}-{secrets.token_hex(8)}.tmp")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(fd)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
