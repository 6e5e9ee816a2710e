"""The command line as a user runs it: real processes, real signals. What the commands show is `perdure.demo` and `perdure.cli`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import perdure

COMMAND = [sys.executable, "-c", "from perdure.cli import main; main()"]


def call(*words: str, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `perdure WORDS`."""
    done = subprocess.run([*COMMAND, *words], input=stdin, capture_output=True, check=False, timeout=120, cwd=cwd)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_demo_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The demo kills actors and its own process half-way through the shipped file; every order has one fate."""
    folder = tmp_path / "data"
    done = call("demo", "--folder", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {cells[1].strip(): cells[2].strip() for line in done.stdout.splitlines() if len(cells := line.split("│")) == 4}
    assert (counts["lost"], counts["doubled"], counts["history verified"]) == ("0", "0", "whole")
    assert counts["process kills survived"] == "1"
    assert int(counts["receipts in the output file"].replace(",", "")) + int(counts["dead-lettered"]) == 3000
    assert perdure.Audit(folder).verify().ok


def test_demo_reads_standard_input_and_tells_a_malformed_line() -> None:
    """A line that is no order is told with its number and becomes a dead letter; the others are handled."""
    orders = [json.dumps({"id": f"A-{n}", "amount": 1.5}) for n in range(20)]
    orders[7] = "not an order"
    done = call("demo", "-", stdin="\n".join(orders).encode())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "line 8 is no order" in done.stdout


def test_demo_of_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    """Bad input: one line on standard error, status 1, no traceback."""
    done = call("demo", str(tmp_path / "none.jsonl"))
    assert done.returncode == 1
    assert "there is no file" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_serves_until_sigterm(tmp_path: Path) -> None:
    """`perdure run module:system` handles what waits, and stops in good order on SIGTERM."""
    (tmp_path / "shop.py").write_text(
        "import attrs, perdure\n"
        "@attrs.frozen\nclass Job:\n    name: str\n"
        "system = perdure.System('data')\n"
        "@system.handler(Job)\ndef work(job, ctx): open('done.txt', 'a').write(job.name + '\\n')\n"
    )
    publish = "import shop\nwith shop.system as s:\n    s.admin.pause()\n    s.publish(shop.Job('one'))\n    s.admin.resume()\n    s.drain(10)\n"
    subprocess.run([sys.executable, "-c", publish], check=True, timeout=60, cwd=tmp_path)
    with subprocess.Popen([*COMMAND, "run", "shop:system"], stdout=subprocess.PIPE, cwd=tmp_path) as served:
        assert served.stdout is not None
        assert b"serving until SIGTERM" in b"".join(iter(lambda: os.read(served.stdout.fileno(), 1), b"M"))  # type: ignore[union-attr]
        served.send_signal(signal.SIGTERM)
        assert served.wait(30) == 0
    assert (tmp_path / "done.txt").read_text() == "one\n"
    assert call("verify", "data", cwd=tmp_path).returncode == 0
    assert call("run", "shop:nothing", cwd=tmp_path).returncode == 1


def test_verify_tells_damage(tmp_path: Path) -> None:
    """Scenario 47: `perdure verify` names the file, and its status is 1."""
    with perdure.System(tmp_path / "data") as system:
        system.publish("hello")
    segment = next((tmp_path / "data").glob("*.seg"))
    damaged = bytearray(segment.read_bytes())
    damaged[200] ^= 1
    segment.write_bytes(damaged)
    done = call("verify", str(tmp_path / "data"))
    assert done.returncode == 1
    assert segment.name[:12] in done.stdout
