"""Every row of the shared cron cases passes, or is listed here and in docs/conformance.md with the reason."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.cron import CronSchedule
from tests.support import conformance

CASES = conformance.load("cron/cases.json")
EXT_MISSES = {
    "? ? ? ? ? ?": "`?` stands for `*` in the two day fields only, as in Quartz",
    "0 0 * * friday": "names have three letters, as in crontab(5); other rows want SUNDAY refused",
    "33 30 1-10 * * *": "the row drops the run at 03:30:33 that the clock leaps over; a fixed time is never lost",
}
WHOLE_TIERS = {"must", "vixie-dst", "nickname"}

Row = dict[str, Any]


def rows(kind: str, *tiers: str) -> list[Any]:
    """Returns the rows of a kind in the tiers; known misses are marked to fail."""
    return [
        pytest.param(row, id=row["id"], marks=_marks(row))
        for row in CASES[kind]
        if not tiers or row["tier"] in tiers
    ]


def _marks(row: Row) -> list[pytest.MarkDecorator]:
    reason = EXT_MISSES.get(row["expr"]) if row["tier"] == "ext" else None
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []


def parse(row: Row) -> CronSchedule:
    return CronSchedule.parse(row["expr"], row.get("tz"), seconds=seconds_of(row["expr"]))


def seconds_of(expr: str) -> Literal["first"] | None:
    return "first" if len(expr.split()) == 6 else None


def names_both_day_fields(expr: str) -> bool:
    day, _, weekday = expr.split()[-3:]
    return not {day, weekday} & {"*", "?"}


@pytest.mark.parametrize("row", rows("valid", *WHOLE_TIERS, "ext"))
def test_the_next_times_are_those_of_the_row(row: Row) -> None:
    schedule = parse(row)
    moment: datetime | None = datetime.fromisoformat(row["base"])
    found = []
    for _ in row["expected_next"]:
        assert moment is not None
        moment = schedule.next_after(moment)
        found.append(moment)
    assert found == [datetime.fromisoformat(each) for each in row["expected_next"]]


@pytest.mark.parametrize("row", rows("activation", *WHOLE_TIERS, "ext"))
def test_a_moment_is_a_slot_exactly_if_the_row_says_so(row: Row) -> None:
    at = datetime.fromisoformat(row["at"])
    assert (parse(row).last_until(at) == at) == row["fires"]


@pytest.mark.parametrize("row", rows("invalid"))
def test_an_invalid_expression_is_refused_with_or_without_seconds(row: Row) -> None:
    for seconds in (None, "first"):
        with pytest.raises(InvalidField) as refusal:
            CronSchedule.parse(row["expr"], None, seconds=seconds)
        assert refusal.value.field == "expr"


@pytest.mark.parametrize("row", rows("unreachable", "must"))
def test_what_never_fires_is_refused(row: Row) -> None:
    with pytest.raises(InvalidField, match="never fires"):
        parse(row)


@pytest.mark.parametrize("row", rows("unreachable", "dialect"))
def test_two_day_fields_that_never_meet_still_fire_since_either_suffices(row: Row) -> None:
    if names_both_day_fields(row["expr"]):
        assert parse(row).next_after(datetime.fromisoformat(row["base"])) is not None
    else:
        with pytest.raises(InvalidField, match="never fires"):
            parse(row)


@pytest.mark.parametrize("row", rows("valid", "disputed-wrap"))
def test_a_range_that_wraps_is_refused_with_one_that_does_not(row: Row) -> None:
    with pytest.raises(InvalidField, match=r"runs backwards; .*write [0-9]"):
        parse(row)


@pytest.mark.parametrize("row", rows("valid", "disputed-star-step", "out"))
def test_oversized_steps_and_hashed_values_are_refused(row: Row) -> None:
    with pytest.raises(InvalidField):
        parse(row)


@pytest.mark.parametrize("row", rows("activation", "disputed-star-step"))
def test_a_day_field_that_starts_with_a_star_must_match_as_well(row: Row) -> None:
    at = datetime.fromisoformat(row["at"])
    assert (parse(row).last_until(at) == at) != row["fires"]


@pytest.mark.parametrize("row", rows("valid", "other-dialect"))
def test_a_row_of_another_dialect_is_answered_by_our_rules_or_refused(row: Row) -> None:
    if row["expr"].startswith("@every"):
        with pytest.raises(InvalidField, match="nickname"):
            parse(row)
        return
    schedule, base = parse(row), datetime.fromisoformat(row["base"])
    slot = schedule.next_after(base)
    assert slot is not None
    assert slot > base
    assert schedule.last_until(slot) == slot


def test_no_tier_is_left_out() -> None:
    known = WHOLE_TIERS | {"ext", "dialect", "disputed-wrap", "disputed-star-step", "other-dialect", "out"}
    assert {row["tier"] for kind in CASES.values() for row in kind} <= known


def test_the_documentation_lists_every_miss() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
    text = page.read_text(encoding="utf-8")
    assert [expr for expr in EXT_MISSES if f"`{expr}`" not in text] == []
