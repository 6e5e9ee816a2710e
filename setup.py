"""Which packages the wheel has: found, not listed. All else that is to be said of the distribution stands in pyproject.toml.

The rooms lie side by side at the top of the checkout, and one of them, host/, is the import package `perdure` itself; no setting of
pyproject.toml finds packages under such a mapping.
"""

from setuptools import find_packages, setup

ROOMS = {"perdure": "host"} | {f"perdure.{room}": room for room in ("actors", "chaos", "events", "store")}

setup(
    package_dir=ROOMS,
    packages=[name for room, folder in ROOMS.items() for name in (room, *(f"{room}.{inner}" for inner in find_packages(folder)))],
)
