"""The compose file's work with processes of this machine: three workers and a publisher; one worker is killed meanwhile.

`python on_one_machine.py postgresql://user@host/database`
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WORKERS = 3


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of this folder."""
    return subprocess.Popen([sys.executable, str(HERE / program), *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603 - its own programs


def main(database: str, count: str = "60") -> int:
    """Run the example; return 0 if every order was packed."""
    os.environ["ORDERS_DATABASE"] = database
    workers = [started("worker.py") for _ in range(WORKERS)]
    try:
        for worker in workers:
            while worker.stdout is not None and worker.stdout.readline() != "at work\n":
                pass
        publisher = started("publisher.py", count)
        for line in publisher.stdout or ():
            print(line, end="")
            if line.startswith("published"):
                workers[0].kill()
                print("one worker is killed; the others take over its partitions")
        return publisher.wait()
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.communicate()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
