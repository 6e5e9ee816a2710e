"""Run each program of examples/ and check its output."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    monkeypatch.setenv("SHOP_DATA", str(tmp_path / "data"))
    spec = importlib.util.spec_from_file_location("shop", EXAMPLES / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    shop = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "shop", shop)
    spec.loader.exec_module(shop)
    with TestClient(shop.app) as client:
        assert client.get("/orders/7").status_code == 404
        placed = client.post("/orders/7", params={"items": 4})
        assert (placed.status_code, placed.json()) == (202, {"message": "order-7"})
        assert client.post("/orders/7").json() == {"message": "order-7"}
        deadline = time.monotonic() + 20.0
        while "Completed" not in (events := client.get("/orders/7").json()["events"]):
            assert time.monotonic() < deadline
        assert events.count("Progressed") == 4


def test_batch_job(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one two three")
    done = run("batch_job.py", str(tmp_path / "data"), str(text), str(tmp_path / "missing.txt"))
    assert done.returncode == 1, done.stderr
    assert f"3\t{text}" in done.stdout
    again = run("batch_job.py", str(tmp_path / "data"), str(text))
    assert (again.returncode, again.stdout) == (0, f"3\t{text}\n"), again.stderr


def test_asyncio_worker(tmp_path: Path) -> None:
    done = run("asyncio_worker.py", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (0, "hello, world\n1001\n"), done.stderr
