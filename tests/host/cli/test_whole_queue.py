"""Commands on `postgresql://…#QUEUE` of several partitions: a look lists all of them, an act reaches the right one, or all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli import main
from perdure.cli.look import follow_all
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.host.conftest import Until

pytestmark = [pytest.mark.xdist_group("postgres")]

PARTITIONS = 2


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(main.app, list(words), catch_exceptions=True)
    if isinstance(result.exception, perdure.PerdureError):
        return f"refused: {result.exception}"
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


@pytest.fixture
def cluster() -> Iterator[perdure.Cluster]:
    """A queue with a dead letter and a delayed message in each partition; no order is handled by itself."""
    made = perdure.Cluster(shared_server().dsn, name=new_queue().replace(" ", "_"), partitions=PARTITIONS)

    @made.handler(Order, retries=0)
    def handle(order: Order) -> None:
        if order.name == "bad":
            raise ValueError(order.name)

    with made:
        made.publish_many([Order("bad")] * 4, keys=["a", "b", "g", "h"])
        made.drain(timeout=PATIENCE_S)
        for ident, group in zip("ABCD", "abgh", strict=True):
            made.publish(Order("later"), group=group, id=ident, delay=3600.0)
        assert len({number for number, _ in made.audit.events(type="DeadLettered")}) == PARTITIONS
        yield made


def address_of(cluster: perdure.Cluster) -> str:
    return f"{shared_server().dsn}#{cluster.name}"


def test_looks_are_by_partition_and_acts_reach_the_live_owners_of_all(cluster: perdure.Cluster, until: Until) -> None:
    address = address_of(cluster)
    rows = [json.loads(line) for line in run("stats", address, "--json").splitlines()]
    assert [row["partition"] for row in rows] == [0, 1]
    assert sum(row["dead"]["order"] for row in rows) == 4
    listed = [json.loads(line) for line in run("dead-letters", "list", address, "--json").splitlines()]
    assert sum(len(row["rows"]) for row in listed) == 4
    assert run("verify", address).count("whole") == PARTITIONS
    for ident in "ABCD":
        assert ident in run("timeline", address, ident)
    assert "refused: " in run("timeline", address, "nowhere")
    run("pause", address, "order")
    assert cluster.admin.handlers()["order"].paused
    run("resume", address, "order")
    assert all(cluster.partition(number).admin.handlers()["order"].paused is False for number in range(PARTITIONS))
    assert "cancelled" in run("cancel", address, "B")
    assert cluster.state("B").status == "cancelled"
    run("run-now", address, "C")
    until(lambda: cluster.state("C").status == "completed")
    assert "4 removed" in run("dead-letters", "purge", address, "--yes")
    ident = run("publish", address, "order", '{"name": "by hand"}', "--key", "z").strip()
    until(lambda: cluster.state(ident).status == "completed")


def test_status_is_the_sum_over_all_partitions_with_the_owner_of_each(cluster: perdure.Cluster) -> None:
    address = address_of(cluster)
    *each, whole = [json.loads(line) for line in run("status", address, "--json").splitlines()]
    assert [row["partition"] for row in each] == [0, 1]
    assert whole["partition"] is None
    [orders] = whole["types"]
    assert (orders["dead"], orders["delayed"]) == (4, 4)
    assert whole["seq"] == sum(row["seq"] for row in each)
    owner = cluster.partitions()[0].owner
    assert {info["owner"] for info in whole["partitions"]} == {owner}
    shown = " ".join(run("status", address).split())
    assert f"{owner.split()[-1]}" in shown
    assert "partition 1" in shown


def test_all_partitions_are_followed_as_one(cluster: perdure.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(["c", "d"])  # of both partitions

    def publish_more() -> None:
        key = next(looks, None)
        if key is None:
            raise KeyboardInterrupt
        cluster.publish(Order("later"), key=f"more {key}", delay=3600.0)

    monkeypatch.setattr(follow_all, "pause", publish_more)
    result = CliRunner().invoke(main.app, ["tail", address_of(cluster), "-f", "-n", "3", "--where", "type=order", "--json"])
    rows = [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]
    assert len(rows) == 3 + 2, result.output
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert [row["key"] for row in rows[-2:]] == ["more c", "more d"]
    assert {row["partition"] for row in rows} == {0, 1}


def test_files_are_written_for_each_partition_and_heads_are_checked(cluster: perdure.Cluster, tmp_path: Path) -> None:
    address = address_of(cluster)
    run("export", address, "-o", str(tmp_path / "orders.jsonl"))
    written = [(tmp_path / f"orders.{number}.jsonl").read_text() for number in range(PARTITIONS)]
    assert sum(text.count('"Published"') for text in written) == 8
    for _ in range(2):  # the second run copies what is new
        run("backup", address, str(tmp_path / "backup"))
    for number in range(PARTITIONS):
        assert "whole" in run("verify", str(tmp_path / "backup" / str(number)))
    heads = [json.loads(line)["head"] for line in run("verify", address, "--json").splitlines()]
    cluster.publish(Order("later"), delay=3600.0)
    assert run("verify", address, "--head", ",".join(heads)).count("is unchanged") == PARTITIONS
    assert "give one for each" in run("verify", address, "--head", heads[0])
    run("verify", address, "--head", ",".join(reversed(heads)), status=1)


def test_search_acts_and_tail_are_one_list_over_all_partitions(cluster: perdure.Cluster) -> None:
    address = address_of(cluster)
    found = run("search", address, "error~bad")
    assert found.count("order") >= 4
    assert "4 message(s) found in 2 partitions; looked back to the beginning" in " ".join(found.split())
    assert "the newest 1 are shown" in " ".join(run("search", address, "error~bad", "--limit", "1").split())
    assert "1 message(s) found in 2 partitions" in " ".join(run("search", address, "id=A").split())
    assert "0 message(s) found in 2 partitions" in " ".join(run("search", address, "key=nowhere").split())
    assert "no operator has acted" in run("acts", address)
    run("pause", address, "order", "--by", "ann", "--why", "a look")
    run("resume", address, "order", "--by", "ann")
    told = run("acts", address)
    assert told.count("pause") == told.count("resume") == PARTITIONS
    assert {f"{number}/" for number in range(PARTITIONS)} <= {word[:2] for word in told.split()}
    lines = run("tail", address, "-n", "5", "--type", "order").splitlines()
    assert len(lines) == 5
    times = [line.split()[1] for line in lines]
    assert times == sorted(times)
    assert all(line.split()[0].split("/")[0] in {"0", "1"} or line.split()[0].endswith("/") for line in lines)
    assert not run("tail", address, "-n", "0")


def test_bulk_acts_are_counted_in_all_partitions_and_hit_what_was_counted(cluster: perdure.Cluster, until: Until) -> None:
    address = address_of(cluster)
    shown = run("dead-letters", "purge", address, "--where", "type=order", "--dry-run")
    assert "4 dead letter(s) would be hit, counted in 2 partitions" in shown
    counted = shown.split("--counted ")[1].split()[0]
    cluster.publish(Order("bad"), key="later")
    until(lambda: cluster.dead_letters.stats().total == 5)
    edited = run("dead-letters", "edit", address, "--where", "key=b", "--set", 'name="good"', "--json")
    assert (json.loads(edited)["counted"], json.loads(edited)["changed"]) == (1, 1)
    assert "3 removed; 1 had been replayed" in run(
        "dead-letters", "purge", address, "--where", "type=order", "--yes", "--counted", counted
    )
    [letter] = cluster.dead_letters.list()
    assert letter.key == "later"
    assert "is of 1 log(s)" in run("dead-letters", "purge", address, "--where", "type=order", "--yes", "--counted", "7:4")
    assert "is of 2 partitions" in run("cancel", f"{address}/0", "--where", "type=order", "--counted", "7,8:4")
    assert "4 message(s)" in run("cancel", address, "--where", "type=order", "--dry-run")
    assert "4 cancelled" in run("cancel", address, "--where", "type=order", "--by", "ann")
    assert {cluster.state(ident).status for ident in "ABCD"} == {"cancelled"}


def test_bulk_acts_in_code_are_over_all_partitions(cluster: perdure.Cluster) -> None:
    seen: list[int] = []
    counted = cluster.dead_letters.count_where("type=order")
    assert (counted.count, counted.by_type, set(counted.by_partition)) == (4, {"order": 4}, {0, 1})
    act = cluster.dead_letters.purge_where(counted, progress=lambda act: seen.append(act.changed))
    assert (act.changed, act.is_over, act.outcome, seen[-1]) == (4, True, "", 4)
    assert cluster.dead_letters.purge_where(counted).changed_meanwhile == 4
    one = act.by_partition[0]
    assert cluster.dead_letters.bulk(one.id) == one
    assert one in cluster.dead_letters.bulks()[0]
    with pytest.raises(perdure.UnknownMessage):
        cluster.dead_letters.bulk("no such act")
    assert cluster.admin.cancel_where("key=nowhere").is_over
    with perdure.connect(shared_server().dsn, name=cluster.name) as client:
        assert client.admin.cancel_where("type=order").changed == 4


def test_a_bulk_act_that_partitions_know_under_its_id_is_not_begun_again(cluster: perdure.Cluster) -> None:
    """Also where it has hit all that there was, so that nothing is counted any more."""
    act = cluster.dead_letters.purge_where("type=order", id="mine")
    assert (act.changed, {one.id for one in act.by_partition.values()}) == (4, {"mine"})
    again = cluster.dead_letters.purge_where("type=order", id="mine")
    assert (again.by_partition, again.changed) == (act.by_partition, 4)
    assert [len(acts) for acts in cluster.dead_letters.bulks().values()] == [1, 1]
    with pytest.raises(perdure.InvalidMessage, match="another bulk act"):
        cluster.dead_letters.replay_where("type=order", id="mine")
    with pytest.raises(perdure.InvalidMessage, match="id"):
        cluster.admin.cancel_where("type=order", id="")
    cancelled = cluster.admin.cancel_where("type=order", id="another", timeout=20)
    assert cluster.admin.cancel_where("type=order", id="another").by_partition == cancelled.by_partition
    assert cancelled.by_partition


@pytest.mark.long(seconds=4)
def test_acts_reach_partitions_that_no_process_owns(cluster: perdure.Cluster) -> None:
    address = address_of(cluster)
    cluster.stop()
    assert "4 back in the queue" in run("dead-letters", "replay", address, "--all", "--by", "ann")
    assert "cancelled" in run("cancel", address, "D", "--by", "ann", "--why", "not needed")
    acts = [act for line in run("acts", address, "--json").splitlines() for act in json.loads(line)["rows"]]
    assert {act["principal"] for act in acts} == {"ann"}
    assert "partition 1" in CliRunner().invoke(main.app, ["doctor", address]).output
