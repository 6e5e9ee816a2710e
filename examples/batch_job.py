"""Count the words of files in a batch job that can be killed at any time: the next run continues where the last one ended.

python batch_job.py DATA FILE...
"""

import sys
from pathlib import Path

import attrs

import perdure


@perdure.message(name="words.CountFile")
@attrs.frozen
class CountFile:
    """A file whose words are counted."""

    path: str


def main(folder: str, paths: list[str]) -> int:
    """Count and print; return the exit status."""
    system = perdure.System(folder)

    @system.handler(CountFile, parallelism=4, retries=0)
    def count(task: CountFile) -> int:
        return len(Path(task.path).read_text(encoding="utf-8").split())

    with system:
        # The path is the message's id: publishing it again after an earlier run adds nothing.
        ids = [system.publish(CountFile(path), id=path, keep_result=3600.0) for path in paths]
        status = 0
        for ident in ids:
            try:
                print(f"{system.result(ident)}\t{ident}")
            except (perdure.HandlerFailed, OSError) as error:
                print(f"-\t{ident}: {error}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
