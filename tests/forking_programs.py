"""The process that forks programs for tests: `python forking_programs.py SOCKET`. Tests use it through `programs`.

It has imported perdure, and has no thread and no state of its own. Between it and each program stands a process that waits for the
program's end and tells its exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import signal
import socket
import struct
import sys
import types
from pathlib import Path
from typing import Any

NUMBER = struct.Struct("i")
PARTS = (
    *("actors", "events", "store", "runtime", "publishing", "handling", "operations", "payloads", "processes", "lifecycle"),
    "cli",
)


def import_perdure() -> None:
    """Import what most programs use."""
    for part in PARTS:
        package = importlib.import_module(f"perdure.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for name in ("perdure.system", "perdure.connecting"):
        importlib.import_module(name)


def next_program(jobs: socket.socket) -> dict[str, Any]:
    """Fork for each job that comes; return in the forks only, each with its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for programs are waited for by none
    while True:
        raw, files, _, _ = socket.recv_fds(jobs, 1 << 20, 4)
        if not raw:
            os._exit(0)
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    jobs.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *its_files, status = files
    if (child := os.fork()) != 0:
        for file in (0, 1, 2, *its_files):
            os.close(file)
        os.write(status, NUMBER.pack(child))
        os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
        os._exit(0)
    for number, file in enumerate(its_files):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    job: dict[str, Any] = json.loads(raw)
    return job


def run_as_main(words: list[str]) -> None:
    """Run what stands after the interpreter's name, in a new `__main__` module."""
    how, *_ = words
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if how == "-c":
        code, sys.argv, sys.path[0] = compile(words[1], "<string>", "exec"), ["-c", *words[2:]], ""
    elif how == "-m":
        sys.path[0] = str(Path.cwd())
        spec = importlib.util.find_spec(words[1])
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{words[1]}.__main__")
        if spec is None or spec.origin is None:
            sys.exit(f"no module named {words[1]}")
        code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]  # that of a source file
        main.__spec__, main.__file__, main.__package__ = spec, spec.origin, spec.parent
        sys.argv = [spec.origin, *words[2:]]
    else:
        code, sys.argv, sys.path[0] = compile(Path(how).read_bytes(), how, "exec"), words, str(Path(how).resolve().parent)
        main.__file__ = how
    exec(code, vars(main))  # noqa: S102 - a program of the tests


if __name__ == "__main__":
    import_perdure()
    gc.collect()
    gc.freeze()
    this = next_program(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(this["cwd"])
    os.environ.clear()
    os.environ.update(this["env"])
    if "PYTHONUNBUFFERED" in os.environ:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # they are files
    run_as_main(this["words"])
