"""What is done from the pages of all partitions: to types, handlers, schedules and logs, and to all that an expression means."""

from __future__ import annotations

import html
import re
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cluster.routing import of_text
from perdure.console.console import Console
from perdure.console.whole_console import whole_queue
from tests.host.console.conftest import Patient, csrf_of, until
from tests.host.console.several.conftest import PARTITIONS, Parcel, browser_of
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx import Response
    from starlette.testclient import TestClient

pytestmark = [pytest.mark.long(seconds=15), pytest.mark.xdist_group("postgres")]
TICKS = "nightly"


@perdure.message(name="shop.Bill")
@attrs.frozen
class Bill:
    number: int
    currency: str


@pytest.fixture
def billed() -> Iterator[perdure.Cluster]:
    """A queue whose bills without a currency are dead letters, in all partitions."""
    made = perdure.Cluster(shared_server().dsn, name=new_queue().replace(" ", "_"), partitions=PARTITIONS)

    @made.handler(Bill, retries=0)
    def charge(bill: Bill) -> None:
        if not bill.currency:
            msg = f"bill {bill.number} has no currency"
            raise ValueError(msg)

    @made.every(43_200.0, name=TICKS)
    def nightly(_tick: perdure.Tick) -> None:
        pass

    with made:
        made.publish_many([Bill(n, "" if n % 2 else "EUR") for n in range(40)], keys=[f"bill-{n}" for n in range(40)])
        until(lambda: made.admin.metrics().completed + made.admin.metrics().dead_letters >= 40)
        yield made


@pytest.fixture
def consoles(billed: perdure.Cluster) -> Iterator[dict[int, Console]]:
    made = Console.of_cluster(billed, authorize=lambda *_: True, open_payloads=True)
    yield made
    for console in made.values():
        console.close()


@pytest.fixture
def browser(consoles: dict[int, Console]) -> TestClient:
    return browser_of(consoles)


def sent(browser: TestClient, page: str, act: str, **fields: str) -> Response:
    """Send the form of an act from a page of all partitions."""
    form = {"csrf": csrf_of(browser.get("/types").text), "back": page, "reason": "month's end", **fields}
    answer: Response = browser.post(f"/act/{act}", data=form, headers={"origin": "http://127.0.0.1"})
    return answer


def notice(text: str) -> str:
    found = re.search(r'<p class="notice[^"]*" role="status">(.*?)</p>', text, re.DOTALL)
    return "" if found is None else html.unescape(found[1])


def counted(browser: TestClient, verb: str, where: str) -> tuple[str, dict[int, int]]:
    """Return what the form of a bulk act carries, and what it shows to have been counted in each partition."""
    address = f"/dead-letters?where={where}&do={verb}"
    until(lambda: 'name="counted"' in browser.get(address).text)
    text = browser.get(address).text
    found = re.search(r'name="counted" value="([^"]+)"', text)
    assert found is not None
    shown = text.split('aria-label="Counted in each partition"', 1)[1].split("</ul>", 1)[0]
    return found[1], {int(number): int(count) for number, count in re.findall(r"partition (\d+): <b>(\d+)</b>", shown)}


def dead_in_each(cluster: perdure.Cluster) -> dict[int, int]:
    return {number: cluster.partition(number).dead_letters.stats().total for number in range(PARTITIONS)}


def paused_in(cluster: perdure.Cluster) -> list[bool]:
    return [cluster.partition(number).admin.handlers()["shop.Bill"].paused for number in range(PARTITIONS)]


def test_a_bulk_act_hits_in_each_partition_what_was_counted_there(browser: TestClient, billed: perdure.Cluster) -> None:
    count, shown = counted(browser, "purge", "type%3Dshop.Bill")
    assert shown == dead_in_each(billed)
    assert sum(shown.values()) == 20
    assert len(shown) == PARTITIONS
    later = [Bill(n, "") for n in range(101, 110)]
    billed.publish_many(later, keys=[f"later-{n}" for n in range(9)])
    until(lambda: sum(dead_in_each(billed).values()) == 29)
    answer = sent(browser, "/dead-letters?where=type%3Dshop.Bill&do=purge", "bulk-purge", counted=count)
    assert answer.status_code == 303
    until(lambda: sum(dead_in_each(billed).values()) == 9)
    text = browser.get("/dead-letters?where=type%3Dshop.Bill").text
    assert notice(text) == f"purge: 20 of the 20 dead letter(s) that were counted, in {PARTITIONS} partition(s)"
    acts = [act for _, act in billed.audit.acts() if act.action == "purge"]
    assert len(acts) == PARTITIONS
    assert {act.reason for act in acts} == {"month's end"}
    assert {act.principal for act in acts} == {"ann"}
    until(lambda: "20 of 20 counted" in browser.get("/dead-letters").text)
    (told,) = re.findall(r'aria-label="Bulk acts">(.*?)</ul>', browser.get("/dead-letters").text, re.DOTALL)
    assert told.count("<li>") == 1  # one act, of all partitions
    for number, many in shown.items():
        assert f"partition {number}: {many} of {many}" in told


def test_letters_of_all_partitions_are_edited_and_replayed(browser: TestClient, billed: perdure.Cluster) -> None:
    count, shown = counted(browser, "edit", "error~currency")
    sent(browser, "/dead-letters", "bulk-edit", counted=count, path="currency", value='"EUR"')
    until(lambda: not sum(dead_in_each(billed).values()))
    until(lambda: billed.admin.metrics().completed >= 40)
    assert notice(browser.get("/dead-letters").text).startswith(f"edit: {sum(shown.values())} of the 20")


def test_a_form_that_was_refused_is_shown_again_with_what_was_typed(browser: TestClient, billed: perdure.Cluster) -> None:
    count, _ = counted(browser, "edit", "error~currency")
    address = "/dead-letters?where=error~currency"
    answer = sent(browser, address, "bulk-edit", counted=count, path="currency", value="EUR", again=f"{address}&do=edit")
    assert answer.status_code == 200
    assert 'value="EUR"' in answer.text
    assert 'class="refused"' in answer.text
    assert sum(dead_in_each(billed).values()) == 20


def test_a_partition_that_fails_is_told_and_the_others_act(
    browser: TestClient, billed: perdure.Cluster, consoles: dict[int, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, shown = counted(browser, "replay", "error~currency")
    true_front = vars(Console)["front"].fget

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise perdure.StoreUnavailable("the owner of this partition does not answer")

    monkeypatch.setattr(Console, "front", property(lambda self: Broken() if self.number == 1 else true_front(self)))
    with perdure.acting_as("olga"):
        billed.admin.pause("shop.Bill")  # so that what is replayed waits
    answer = sent(browser, "/dead-letters?where=error~currency", "bulk-replay", counted=count)
    assert answer.status_code == 303
    until(lambda: dead_in_each(billed) == {0: 0, 1: shown[1], 2: 0})
    told = notice(browser.get("/dead-letters?where=error~currency").text)
    assert told.startswith("Not done in partition 1: the owner of this partition does not answer")
    assert f"partition 0: replay: {shown[0]} of the {shown[0]} dead letter(s)" in told
    monkeypatch.undo()
    sent(browser, "/dead-letters?where=error~currency", "bulk-replay", counted=count)  # the form goes on where it had not begun
    until(lambda: not sum(dead_in_each(billed).values()))
    acts = [number for number, act in billed.audit.acts() if act.action == "replay"]
    assert sorted(acts) == [0, 1, 2]


def test_a_partition_without_an_owner_is_told_in_the_count_and_not_touched(
    browser: TestClient, billed: perdure.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_front = vars(Console)["front"].fget
    monkeypatch.setattr(Console, "front", property(lambda self: None if self.number == 2 else true_front(self)))
    count, shown = counted(browser, "purge", "error~currency")
    assert set(shown) == {0, 1}
    page = browser.get("/dead-letters?where=error~currency&do=purge").text
    assert "partition 2: <span" in page
    assert "not counted, and not touched: nothing runs on its log" in page
    monkeypatch.undo()
    before = dead_in_each(billed)
    sent(browser, "/dead-letters", "bulk-purge", counted=count)
    until(lambda: dead_in_each(billed) == {0: 0, 1: 0, 2: before[2]})


def test_a_count_passes_for_no_other_act_session_or_partition(
    browser: TestClient, billed: perdure.Cluster, consoles: dict[int, Console]
) -> None:
    count, _ = counted(browser, "purge", "error~currency")
    assert "the count is too old" in notice(sent(browser, "/messages", "bulk-cancel", counted=count).text)
    form = {"csrf": csrf_of(browser.get("/types").text), "back": "/dead-letters", "counted": count}
    answer = browser.post("/partition/1/act/bulk-purge", data=form, headers={"origin": "http://127.0.0.1"})
    assert answer.headers["location"] == "/partition/1/dead-letters"
    assert "the count is too old" in notice(browser.get("/partition/1/dead-letters").text)
    sent(browser_of(consoles), "/dead-letters?where=error~currency", "bulk-purge", counted=count)
    assert sum(dead_in_each(billed).values()) == 20


def test_messages_of_all_partitions_are_cancelled(browser: TestClient, billed: perdure.Cluster) -> None:
    billed.publish_many([Parcel(n) for n in range(12)], keys=[f"parcel-{n}" for n in range(12)])
    until(lambda: billed.admin.metrics().ready == 12)
    until(lambda: 'name="counted"' in browser.get("/messages?type=shop.Parcel&do=cancel").text)
    text = browser.get("/messages?type=shop.Parcel&do=cancel").text
    assert "<b>12</b> message(s) that wait or run would be cancelled" in text
    found = re.search(r'name="counted" value="([^"]+)"', text)
    assert found is not None
    sent(browser, "/messages?type=shop.Parcel", "bulk-cancel", counted=found[1])
    until(lambda: billed.admin.metrics().ready == 0)
    assert notice(browser.get("/messages").text).startswith("cancel: 12 of the 12 message(s)")


def test_a_type_is_paused_scaled_and_resumed_in_all_partitions(browser: TestClient, billed: perdure.Cluster) -> None:
    sent(browser, "/types/shop.Bill", "pause", type="shop.Bill")
    assert paused_in(billed) == [True] * PARTITIONS
    assert notice(browser.get("/types/shop.Bill").text) == "shop.Bill: deliveries are paused (in all partitions)"
    billed.partition(1).admin.resume("shop.Bill")
    until(lambda: "paused in partition 0, 2" in browser.get("/types/shop.Bill").text)
    text = browser.get("/types/shop.Bill").text
    assert 'action="/act/pause"' in text
    assert 'action="/act/resume"' in text  # some are, some are not
    sent(browser, "/types/shop.Bill", "resume", type="shop.Bill")
    assert paused_in(billed) == [False] * PARTITIONS
    sent(browser, "/types/shop.Bill", "scale", type="shop.Bill", workers="3")
    assert [billed.partition(n).admin.handlers()["shop.Bill"].parallelism for n in range(PARTITIONS)] == [3] * PARTITIONS
    sent(browser, "/types/shop.Bill", "configure", type="shop.Bill", option="rate", value="30")
    assert "shared out over 3 partitions" in notice(browser.get("/types/shop.Bill").text)
    until(lambda: "10" in browser.get("/types/shop.Bill").text.split("rate", 1)[1])
    refused = sent(browser, "/types/shop.Bill", "scale", type="shop.Bill", workers="many", again="/types/shop.Bill")
    assert "a whole number from 0 to 10,000" in refused.text


def test_a_type_has_its_sums_its_rows_and_its_causes(browser: TestClient, billed: perdure.Cluster) -> None:
    until(lambda: ">20</a>" in browser.get("/types/shop.Bill").text)
    text = browser.get("/types/shop.Bill").text
    assert "of 40 published" in text
    for number, dead in dead_in_each(billed).items():
        row = text.split(f'href="/partition/{number}/types/shop.Bill">partition {number}</a>', 1)[1].split("</tr>", 1)[0]
        assert f'data-label="dead">{dead}<' in row
    assert "<b>20</b> ValueError: bill # has no currency" in text
    until(lambda: "Handler, as it runs now" in browser.get("/types/shop.Bill").text)
    assert browser.get("/types/no.Such").status_code == 400
    line = browser.get("/types").text.split('href="/types/shop.Bill">', 1)[1].split("</tr>", 1)[0]
    assert 'data-label="published">40<' in line
    assert 'data-label="dead">20<' in line


def test_a_message_is_published_to_the_partition_of_its_key(browser: TestClient, billed: perdure.Cluster) -> None:
    home = of_text("bill-new", PARTITIONS)
    answer = sent(
        browser, "/types/shop.Bill", "publish", type="shop.Bill", payload='{"number": 7, "currency": "EUR"}', key="bill-new"
    )
    assert answer.status_code == 303, notice(answer.text)
    assert notice(browser.get("/types/shop.Bill").text).endswith(f"(in partition {home})")
    form = {
        "csrf": csrf_of(browser.get("/types").text),
        "type": "shop.Bill",
        "payload": '{"number": 8, "currency": "EUR"}',
        "key": "bill-new",
    }
    other = (home + 1) % PARTITIONS
    again = "/types/shop.Bill"
    answer = browser.post(f"/partition/{other}/act/publish", data={**form, "again": again}, headers={"origin": "http://127.0.0.1"})
    assert f"belongs to partition {home}" in html.unescape(answer.text)


def test_a_schedule_has_the_partition_in_which_it_ticks_and_runs_there(browser: TestClient, billed: perdure.Cluster) -> None:
    home = of_text(TICKS, PARTITIONS)
    until(lambda: TICKS in browser.get("/schedules").text)
    (row,) = re.findall(rf'<tr><th scope="row">{TICKS}</th>.*?</tr>', browser.get("/schedules").text, re.DOTALL)
    assert f"partition {home}</a>" in row
    before = billed.partition(home).admin.metrics().published
    sent(browser, "/schedules", "run-now", schedule=TICKS, partition=str(home))
    assert billed.partition(home).admin.metrics().published == before + 1
    assert notice(sent(browser, "/schedules", "run-now", schedule=TICKS, partition="77").text).startswith("Not done")


def test_processes_and_actors_have_a_row_for_each_partition(browser: TestClient, billed: perdure.Cluster) -> None:
    until(lambda: f"{PARTITIONS} of {PARTITIONS} partitions are owned, by 1 process(es)" in browser.get("/processes").text)
    until(lambda: 'data-label="at work">0 of' in browser.get("/processes").text)
    text = browser.get("/processes").text
    for info in billed.partitions():
        row = text.split(f'href="/partition/{info.number}/processes">partition {info.number}</a>', 1)[1].split("</tr>", 1)[0]
        assert info.owner in row
        assert f'data-label="epoch">{info.epoch}<' in row
    sent(browser, "/processes", "snapshot")
    assert "partition 2: A snapshot holds everything" in notice(browser.get("/processes").text)
    system = billed.partition(1)
    assert isinstance(system, perdure.System)
    system.actors.kill("queue")
    until(lambda: "Actor queue died and was restarted" in browser.get("/actors").text)
    deaths = browser.get("/actors").text.split("Deaths on record", 1)[1]
    assert re.search(r'href="/partition/1/actors\?at=\d+">partition 1, event', deaths)
    row = browser.get("/actors").text.split('href="/partition/1/actors">partition 1', 1)[1].split("</tr>", 1)[0]
    assert 'data-label="restarts">1<' in row


def test_rights_are_by_action_and_type_also_in_all_partitions(billed: perdure.Cluster) -> None:
    def allowed(_principal: str, action: str, kind: str) -> bool:
        return action == "look" or (action in ("pause", "purge") and kind in ("", "shop.Parcel"))

    consoles = Console.of_cluster(billed, authorize=allowed)
    browser = browser_of(consoles)
    try:
        text = browser.get("/types/shop.Bill").text
        assert 'action="/act/' not in text
        token = csrf_of(browser.get("/types").text)
        for act in ("pause", "scale", "configure", "publish", "snapshot", "bulk-replay", "reveal"):
            form = {"csrf": token, "type": "shop.Bill", "workers": "1", "option": "retries", "value": "3", "payload": "{}"}
            answer = browser.post(f"/act/{act}", data=form, headers={"origin": "http://127.0.0.1"})
            assert answer.status_code == 403 or "Not done" in notice(browser.get("/types").text), act
        count, _ = counted(browser, "purge", "error~currency")
        answer = sent(browser, "/types", "bulk-purge", counted=count)
        assert answer.status_code == 403
        assert sum(dead_in_each(billed).values()) == 20
        assert not [act for _, act in billed.audit.acts()]
        assert browser.post("/act/kill", data={"csrf": token}, headers={"origin": "http://127.0.0.1"}).status_code == 404
    finally:
        for console in consoles.values():
            console.close()


def test_who_may_not_look_at_all_types_counts_none_that_are_hidden(billed: perdure.Cluster) -> None:
    billed.publish_many([Parcel(n) for n in range(6)], keys=[f"p-{n}" for n in range(6)])
    consoles = Console.of_cluster(billed, authorize=lambda _who, _action, kind: kind != "shop.Bill")
    browser = browser_of(consoles)
    try:
        assert browser.get("/types/shop.Bill").status_code == 403
        assert "shop.Bill" not in browser.get("/types").text
        text = browser.get("/messages?q=payload.number%3D1&do=cancel").text
        assert "Nothing was counted: you may not look at all types" in text
        until(lambda: 'name="counted"' in browser.get("/messages?type=shop.Parcel&do=cancel").text)
    finally:
        for console in consoles.values():
            console.close()


def test_forms_of_all_partitions_are_taken_of_this_site_and_session_alone(browser: TestClient, billed: perdure.Cluster) -> None:
    token = csrf_of(browser.get("/types").text)
    foreign = browser.post("/act/pause", data={"csrf": token}, headers={"origin": "http://evil.example"})
    without = browser.post("/act/pause", data={"csrf": "x"}, headers={"origin": "http://127.0.0.1"})
    assert foreign.status_code == without.status_code == 403
    assert browser.get("/act/pause").status_code in (404, 405)
    assert paused_in(billed) == [False] * PARTITIONS


def test_the_acts_go_on_when_the_console_dies_after_they_have_begun(
    browser: TestClient, billed: perdure.Cluster, consoles: dict[int, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, _ = counted(browser, "purge", "error~currency")

    class Died(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Died

    monkeypatch.setattr("perdure.console.whole_acts._await", dies)
    with pytest.raises(Died):
        sent(browser, "/dead-letters?where=error~currency", "bulk-purge", counted=count)
    until(lambda: not sum(dead_in_each(billed).values()))


def test_no_partition_runs_and_all_is_only_looked_at(billed: perdure.Cluster) -> None:
    other = perdure.Cluster(shared_server().dsn, name=billed.name, partitions=PARTITIONS, ownership="never")
    consoles = Console.of_cluster(other, authorize=lambda *_: True)
    app = whole_queue(consoles, hosts=("127.0.0.1",), principal=lambda _: "ann")
    browser = Patient(app, base_url="http://127.0.0.1", follow_redirects=False)
    try:
        until(lambda: "shop.Bill" in browser.get("/types").text)
        began_s = time.monotonic()
        for path in ("/types", "/types/shop.Bill", "/schedules", "/processes", "/actors", "/dead-letters?where=error~c&do=purge"):
            text = browser.get(path).text
            assert "only to look at" in text, path
            assert 'action="/act/' not in text, path
        assert time.monotonic() - began_s < 30.0
    finally:
        for console in consoles.values():
            console.close()


def test_what_an_act_on_one_partition_tells_is_shown_after_pages_of_all(browser: TestClient) -> None:
    """The cookie of a partition's pages stood beside that of all, so its notices, and what it revealed, were lost."""
    form = {"csrf": csrf_of(browser.get("/types").text), "type": "shop.Bill", "back": "/types/shop.Bill"}
    for act, told in (("pause", "paused"), ("resume", "go on"), ("reveal", "shown to you for 15 minutes")):
        answer = browser.post(f"/partition/1/act/{act}", data=form, headers={"origin": "http://127.0.0.1"})
        assert "Path=/;" in answer.headers["set-cookie"]
        assert told in notice(browser.get("/partition/1/types/shop.Bill").text)
