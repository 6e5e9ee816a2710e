"""`KeptForm`: what was typed into a form whose act was refused: the page shows it again, with the reason beside it.

It travels in no cookie and no address: the answer to the form is the page itself. Not here: acts (`perdure.console.console_acts`).
"""

from __future__ import annotations

import attrs

__all__ = ["KeptForm"]

NOT_COMPARED = ("counted",)
"""A fresh count of the same has another sign."""
TYPED = ("payload", "path", "value", "workers", "key", "group", "reason")
"""Fields of forms that a person fills in."""


@attrs.frozen
class KeptForm:
    """The act that a form asked for, its fields, and why nothing was done."""

    act: str
    fields: dict[str, str]
    error: str

    @property
    def is_filled_in(self) -> bool:
        """Whether anything was typed."""
        return any(self.fields.get(name, "").strip() for name in TYPED)

    def is_of(self, act: str, fixed: dict[str, object]) -> bool:
        """Return whether it was this form of a page: that of the act, about the same things (`fixed`)."""
        return self.act == act and all(
            self.fields.get(name, "") == str(value) for name, value in fixed.items() if name not in NOT_COMPARED
        )
