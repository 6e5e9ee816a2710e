"""The Grafana dashboard and the alert rules: the metrics that they name exist, Prometheus takes the rules, each has a runbook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from perdure.telemetry.prometheus import METRICS as COLLECTED
from perdure.telemetry.prometheus_calls import DURATIONS

DASHBOARDS = Path(str(files("perdure.telemetry"))) / "dashboards"
DOCS = Path(__file__).parents[3] / "docs"
ALERTS = (DASHBOARDS / "alerts.yml").read_text(encoding="utf-8")
PANELS: list[dict[str, Any]] = json.loads((DASHBOARDS / "grafana.json").read_text(encoding="utf-8"))["panels"]
METRICS = {*COLLECTED, DURATIONS}
NAME = re.compile(r"\b(?:perdure|messaging_(?:client|process))_\w+\b")


def metrics_of(expression: str) -> set[str]:
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(expression)}
    return names - {"messaging_destination_name"}


def test_each_metric_of_the_alerts_exists() -> None:
    assert metrics_of(ALERTS)
    assert metrics_of(ALERTS) - METRICS == set()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_metric_of_the_dashboard_exists(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert metrics_of(target["expr"])
        assert metrics_of(target["expr"]) - METRICS == set()


def test_the_dashboard_shows_each_metric_but_those_that_others_imply() -> None:
    shown = {name for panel in PANELS for target in panel["targets"] for name in metrics_of(target["expr"])}
    fates = {"retried", "superseded", "expired", "cancelled", "replayed", "purged", "snapshots"}
    assert METRICS - shown == {f"perdure_{fate}_total" for fate in fates}


def test_each_alert_names_its_runbook_which_is_a_heading_of_operations() -> None:
    operations = (DOCS / "OPERATIONS.md").read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", operations, re.MULTILINE)
    }
    alerts = re.split(r"^\s*- alert: ", ALERTS, flags=re.MULTILINE)[1:]
    runbooks = {alert.split()[0]: re.findall(r"runbook: (\S+)", alert) for alert in alerts}
    assert len(runbooks) == len(alerts) > 0
    for alert, (runbook,) in runbooks.items():
        assert runbook in anchors, alert
    page = (DOCS / "TELEMETRY.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(Perdure\w+)` \|.*\(OPERATIONS\.md#([\w-]+)\)", page, re.MULTILINE))
    assert told == {alert: runbook for alert, (runbook,) in runbooks.items()}


def test_each_metric_is_on_the_page_with_its_meaning() -> None:
    page = (DOCS / "TELEMETRY.md").read_text(encoding="utf-8")
    assert sorted(name for name in METRICS if f"`{name}`" not in page) == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", DASHBOARDS / "alerts.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


SLOW = 'job="shop",instance="a",messaging_operation_name="publish"'
FAST = 'job="shop",instance="b",messaging_operation_name="publish"'
TESTS = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'perdure_up{{job="shop"}}', values: '1x30'}}
      - {{series: 'perdure_oldest_ready_seconds{{job="shop",type="Placed"}}', values: '0+60x30'}}
      - {{series: 'perdure_oldest_ready_seconds{{job="shop",type="Paused"}}', values: '0+60x30'}}
      - {{series: 'perdure_handler_paused{{job="shop",type="Paused"}}', values: '1x30'}}
      - {{series: 'perdure_backlog_fill_ratio{{job="shop"}}', values: '0.85x30'}}
      - {{series: '{durations}_bucket{{{slow},le="1"}}', values: '0x30'}}
      - {{series: '{durations}_bucket{{{slow},le="2.5"}}', values: '0+60x30'}}
      - {{series: '{durations}_bucket{{{slow},le="+Inf"}}', values: '0+60x30'}}
      - {{series: '{durations}_bucket{{{fast},le="1"}}', values: '0+60x30'}}
      - {{series: '{durations}_bucket{{{fast},le="+Inf"}}', values: '0+60x30'}}
      - {{series: '{durations}_count{{{fast},error_type=""}}', values: '0+60x30'}}
      - {{series: '{durations}_count{{{fast},error_type="perdure.QueueFull"}}', values: '0+1x30'}}
      - {{series: 'perdure_io_errors_total{{job="shop"}}', values: '0x10 1x20'}}
    alert_rule_test:
      - {{eval_time: 2m, alertname: PerdureMessagesWait}}
      - eval_time: 15m
        alertname: PerdureMessagesWait
        exp_alerts:
          - exp_labels: {{severity: warning, type: Placed}}
            exp_annotations:
              summary: A message of Placed has been ready for more than five minutes.
              runbook: the-backlog-grows
      - {{eval_time: 9m, alertname: PerdureDiskRefuses}}
      - {{eval_time: 8m, alertname: PerdurePublishIsSlow}}
      - eval_time: 20m
        alertname: PerdurePublishIsSlow
        exp_alerts:
          - exp_labels: {{severity: warning, job: shop, instance: a}}
            exp_annotations:
              summary: One of a hundred publishes takes more than a second.
              runbook: syncs-are-slow
      - eval_time: 20m
        alertname: PerdurePublishFails
        exp_alerts:
          - exp_labels: {{severity: warning, job: shop, instance: b, error_type: perdure.QueueFull}}
            exp_annotations:
              summary: Publishes fail with perdure.QueueFull; what they were to publish is not in the queue.
              runbook: runbook-what-each-error-means
    promql_expr_test:
      - expr: count(ALERTS{{alertname="PerdureDiskRefuses", alertstate="firing"}})
        eval_time: 12m
        exp_samples: [{{value: 1}}]
      - expr: count(ALERTS{{alertname="PerdureBacklogNearlyFull", alertstate="firing"}})
        eval_time: 12m
        exp_samples: [{{value: 1}}]
      - expr: count(ALERTS{{alertname="PerdureDown"}})
        eval_time: 12m
        exp_samples: []
"""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    tests = tmp_path / "tests.yml"
    tests.write_text(TESTS.format(rules=DASHBOARDS / "alerts.yml", durations=DURATIONS, slow=SLOW, fast=FAST))
    done = subprocess.run(["promtool", "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
