"""Names of the users of this machine. Not here: which of them may do what (`perdure.security`)."""

from __future__ import annotations

__all__ = ["user_name"]


def user_name(uid: int) -> str:
    """Return the login name of a user; `uid 1000` where it has none, or where there is no list of users."""
    try:
        import pwd  # noqa: PLC0415 - not on every platform, and needed for acts alone
    except ImportError:
        return f"uid {uid}"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
