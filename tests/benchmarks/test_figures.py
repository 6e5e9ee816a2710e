"""Values become ratios, verdicts and tables. Nothing is timed."""

from __future__ import annotations

import pytest

from benchmarks.figure import Figure, Measure, Report, ratio_of
from benchmarks.loads import publish
from benchmarks.loads.floors import SYNC
from benchmarks.report.document import between_markers
from benchmarks.report.tables import figure_rows, markdown, number, target_rows
from benchmarks.report.targets import judge


def report(*figures: Figure, floors: tuple[Figure, ...] = ()) -> Report:
    return Report(group="publish", effort="quick", rounds=3, on="a machine", floors=[*floors], figures=[*figures])


def figure(name: str, unit: str, values: list[float], ratios: list[float], *, floor: str = SYNC, missing: str = "") -> Figure:
    return Figure(Measure(name, unit, floor), name, values=values, ratios=ratios, missing=missing)


@pytest.mark.parametrize(
    ("unit", "value", "floor", "ratio"),
    [
        ("messages/s", 500.0, 1000.0, 0.5),
        ("B", 30.0, 60.0, 0.5),
        ("ms", 2.0, 1000.0, 2.0),  # twice the floor's millisecond
        ("us", 5.0, 200_000.0, 1.0),
    ],
)
def test_ratio_of_a_value_to_its_floor(unit: str, value: float, floor: float, ratio: float) -> None:
    assert ratio_of(Measure("x", unit, "floor"), value, floor) == pytest.approx(ratio)


def test_the_median_round_counts_and_the_spread_is_shown() -> None:
    made = figure("x", "messages/s", [100.0, 300.0, 200.0], [0.1, 0.3, 0.2])
    assert (made.median, made.ratio) == (200.0, 0.2)
    _, (row,) = figure_rows(report(made))
    assert row == ("x", "200", "100 to 300", "messages/s", "0.20", "0.10 to 0.30", SYNC)


def test_missing_load_is_shown_with_its_reason() -> None:
    _, (row,) = figure_rows(report(figure("a peer", "messages/s", [], [], missing="not installed")))
    assert row[:3] == ("a peer", "missing", "not installed")


def test_a_note_has_a_column_of_its_own() -> None:
    headings, (row,) = figure_rows(report(Figure(Measure("x", "B"), "x", note="synced", values=[1.0])))
    assert headings[-1] == "how"
    assert row[-1] == "synced"


@pytest.mark.parametrize(
    ("ratios", "met"),
    [
        ([0.5, 0.6, 0.9], "yes"),
        ([0.1, 0.5, 0.9], "yes, not in each round"),
        ([0.1, 0.49, 0.9], "**no**, in some rounds"),
        ([0.1, 0.2, 0.49], "**no**"),
    ],
)
def test_verdict_follows_the_median_and_says_if_rounds_disagree(ratios: list[float], met: str) -> None:
    made = figure(publish.ONE_BY_ONE, "messages/s", [1.0] * 3, ratios)
    verdict = next(v for v in judge({"publish": report(made)}) if "one by one, of a bare" in v.text)
    _, (row,) = target_rows([verdict])
    assert (row[1], row[4]) == ("≥ 0.5", met)


def test_unmeasured_target_is_shown_without_a_verdict() -> None:
    verdicts = judge({})
    _, rows = target_rows(verdicts)
    assert len(rows) == len(verdicts) > 20
    assert {row[4] for row in rows} == {"-"}


def test_a_target_of_two_figures_needs_both() -> None:
    alone = judge({"publish": report(figure(publish.WAITING_50, "messages/s", [10.0], [1.0]))})
    both = judge(
        {
            "publish": report(
                figure(publish.WAITING_50, "messages/s", [10.0, 30.0], [1.0, 1.0]),
                figure(publish.ONE_BY_ONE, "messages/s", [5.0, 5.0], [1.0, 1.0]),
            )
        }
    )
    text = "50 producers waiting, of one"
    assert next(v for v in alone if v.text == text).values == []
    assert next(v for v in both if v.text == text).values == [2.0, 6.0]


def test_tables_replace_only_the_text_between_their_markers() -> None:
    page = "a\n<!-- figures: one -->\nold\n<!-- end -->\nb\n<!-- figures: two -->\nkept\n<!-- end -->\nc\n"
    filled = between_markers(page, {"one": "new \\1"})
    assert filled == "a\n<!-- figures: one -->\n\nnew \\1\n\n<!-- end -->\nb\n<!-- figures: two -->\nkept\n<!-- end -->\nc\n"
    assert between_markers(filled, {"one": "new \\1"}) == filled


def test_a_cell_cannot_break_its_table() -> None:
    assert markdown(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


@pytest.mark.parametrize(
    ("value", "written"), [(123_456.7, "123,457"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012"), (0.0, "0")]
)
def test_numbers_have_three_significant_digits(value: float, written: str) -> None:
    assert number(value) == written


def test_failed_round_beside_others_is_noted() -> None:
    made = figure("a peer", "messages/s", [10.0], [0.1], missing="failed: a time-out")
    headings, (row,) = figure_rows(report(made))
    assert row[:2] == ("a peer", "10.0")
    assert (headings[-1], row[-1]) == ("how", "not in each round: failed: a time-out")


def test_unequal_rounds_have_no_quotient() -> None:
    some = figure(publish.WAITING_50, "messages/s", [10.0, 30.0], [1.0, 1.0], missing="failed")
    verdicts = judge({"publish": report(some, figure(publish.ONE_BY_ONE, "messages/s", [5.0] * 3, [1.0] * 3))})
    assert next(v for v in verdicts if v.text == "50 producers waiting, of one").values == []
