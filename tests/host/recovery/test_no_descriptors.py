"""A process that has no file descriptor left: operators learn it at once, and all goes on when there are some again."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.programs import run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, resource, sys, time
import perdure

system = perdure.System(sys.argv[1], options=perdure.Options(segment_bytes=1 << 20))
system.start()
resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held, published, seen = [], 0, []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    while True:  # until the journal needs another segment
        published += len(system.publish_many([{"n": os.urandom(4000).hex()} for _ in range(10)]))
except perdure.StoreUnavailable:
    seen.append("publish")
began_s = time.monotonic()
try:
    system.admin.snapshot()
except perdure.StoreUnavailable as error:
    seen.append("snapshot" if "open files" in str(error) else str(error))
took_s = time.monotonic() - began_s
for fd in held:
    os.close(fd)
until_s = time.monotonic() + 60
while True:
    try:
        system.admin.snapshot()
        break
    except (perdure.StoreUnavailable, TimeoutError):
        assert time.monotonic() < until_s
        time.sleep(0.05)
seen.append(system.admin.metrics().ready == published)
system.stop()
print([*seen, took_s])
"""


def test_a_snapshot_without_descriptors_is_refused_at_once(tmp_path: Path) -> None:
    done = run(["-c", PROGRAM, str(tmp_path / "queue")], timeout=150)
    *seen, took_s = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert seen == ["publish", "snapshot", True]
    assert took_s < 30, "far below the time that a request waits for its answer"
