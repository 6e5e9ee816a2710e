"""An owner that reads its log for a long time, as a program: `python slow_reader.py FOLDER GATE HOW`.

It reads until the file GATE is there. HOW is `tells`, or `stays`: it makes no progress meanwhile.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Any

from perdure.runtime import engine
from tests.host.processes.shop import shop

STEP_S = 0.05
SEQ = 1_234
"""The first sequence number that it says it has read up to."""


def main(folder: str, gate: str, how: str) -> None:
    """Own the folder until it is killed."""
    fold = vars(engine)["fold_log"]

    def slowly(*args: Any, progress: Any = None, **options: Any) -> Any:
        for step in itertools.takewhile(lambda _: not Path(gate).exists(), itertools.count()):
            if how == "tells" or step == 0:
                progress(SEQ + step)
            if step == 0:
                print("reads", flush=True)
            time.sleep(STEP_S)
        return fold(*args, progress=progress, **options)

    vars(engine)["fold_log"] = slowly
    with shop(folder):
        print("up", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
