"""Programs that serve a Cluster: `perdure run`, and the worker of a Django project whose settings have a database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import perdure
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Until

pytestmark = [pytest.mark.xdist_group("postgres"), pytest.mark.long(seconds=5)]

DJANGO = Path(__file__).parents[3] / "examples" / "django"
WORKER = """
import sys
import perdure
queue = perdure.Cluster({dsn!r}, name={name!r}, partitions=2)
@queue.handler(int)
def pack(order):
    open("packed", "a").write(str(order))
"""
SETTINGS = """
from shop.settings import *
PERDURE = {{"FOLDER": {address!r}, "PARTITIONS": 2, "OUTBOX": ["default"]}}
"""


@contextmanager
def served_by(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a program that serves; it is gone afterwards."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"} | (env or {}), cwd=cwd
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_perdure_run_serves_a_cluster_until_it_is_told_to_stop(tmp_path: Path, until: Until) -> None:
    name = new_queue()
    (tmp_path / "worker.py").write_text(WORKER.format(dsn=shared_server().dsn, name=name))
    command = [sys.executable, "-m", "perdure.cli.main", "run", "worker:queue"]
    with served_by(command, cwd=tmp_path) as served:
        assert served.stdout is not None
        assert "worker:queue runs; 2 of 2 partitions" in served.stdout.readline()
        with perdure.connect(shared_server().dsn, name=name) as client:
            client.publish(7)
        until((tmp_path / "packed").exists)
        served.send_signal(signal.SIGTERM)
        rest, _ = served.communicate(timeout=PATIENCE_S)
    assert (served.returncode, "stopped" in rest) == (0, True)


def test_the_worker_of_a_django_project_is_a_host_of_a_cluster(tmp_path: Path, until: Until) -> None:
    pytest.importorskip("django")
    project = tmp_path / "project"
    shutil.copytree(DJANGO, project)
    queue = new_queue().replace(" ", "_")
    address = f"{shared_server().dsn}#{queue}"
    (project / "clustered.py").write_text(SETTINGS.format(address=address))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "clustered", "SHOP_DATA": str(tmp_path)}

    def manage(*words: str) -> list[str]:
        return [sys.executable, str(project / "manage.py"), *words]

    subprocess.run(manage("migrate", "-v", "0"), env=environment, check=True)
    with served_by(manage("perdure"), env=environment) as worker:
        assert worker.stdout is not None
        assert "it handles " in worker.stdout.readline()
        placing = (
            "from django.db import transaction; from orders.models import Order; from orders.messages import Placed\n"
            "from perdure.integrations.django import outbox, publish\n"
            "with transaction.atomic():\n"
            "    Order.objects.create(name='A', items=1); publish(Placed('A'))\n"
            "    Order.objects.create(name='B', items=1); outbox().publish(Placed('B'))\n"
        )
        subprocess.run(manage("shell", "-c", placing), env=environment, check=True, timeout=PATIENCE_S)
        with perdure.connect(shared_server().dsn, name=queue) as client:
            until(lambda: client.admin.metrics().completed == 4)
        shown = subprocess.run(manage("perdure", "status"), env=environment, check=True, capture_output=True, text=True).stdout
        assert "partition 1" in shown
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0
