"""The queue of this example: the message, and the cluster, which every process makes by the same call."""

from __future__ import annotations

import os
from typing import Literal

import attrs

import perdure


@perdure.message(name="order")
@attrs.frozen
class Order:
    """An order of a shop."""

    number: int
    customer: str


def cluster(ownership: Literal["auto", "never"] = "auto") -> perdure.Cluster:
    """Return the queue; the database is named in the environment, and its password in PGPASSWORD or a password file."""
    lease = float(os.environ.get("ORDERS_LEASE", "10"))
    return perdure.Cluster(os.environ["ORDERS_DATABASE"], name="orders", partitions=8, lease=lease, ownership=ownership)
