"""Runs commands of the command line in forks of one process that has imported it already.

Each is a process of its own, with its folder, environment, output and exit status; only the start of Python and the imports are
shared, which take a hundred times longer than most commands. The fixture `command` starts this program, and writes to it.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys

from typer.testing import CliRunner

from perdure.cli.main import app

LIMIT_S = 200


def fork_for_each_line() -> None:
    """Fork for each line of the standard input, and print the fork's exit status; return in the fork only, ready to run."""
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.alarm(LIMIT_S)
            for name, number, flags in (("in", 0, os.O_RDONLY), ("out", 1, os.O_WRONLY), ("err", 2, os.O_WRONLY)):
                file = os.open(job[name], flags)
                os.dup2(file, number)
                os.close(file)
            os.chdir(job["cwd"])
            os.environ.clear()
            os.environ.update(job["env"])
            sys.path[0] = job["cwd"]  # as `python -m` has it
            sys.argv = ["perdure", *job["args"]]
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


if __name__ == "__main__":
    CliRunner().invoke(app, ["stats", os.devnull])  # imports what is imported late, here and not in each fork
    gc.freeze()
    fork_for_each_line()
    runpy.run_module("perdure", run_name="__main__", alter_sys=True)
