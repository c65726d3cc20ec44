"""Fields that limit and spread cron and interval schedules: in previews, and refused by name when invalid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.base import CheckContext, first_run, parse_config
from scheduler.triggers.preview import Preview, preview
from scheduler.triggers.registry import kind_of

START = datetime(2030, 12, 21, tzinfo=UTC)
SEED = UUID(int=1)


def shown(config: dict[str, Any], kind: str = "cron", **options: Any) -> Preview:
    given: dict[str, Any] = {
        "zone": "Europe/Berlin",
        "after": START,
        "count": 20,
        "naive_ok": False,
        "seed": SEED,
    } | options
    return preview(kind, config, **given)


def kinds(found: Preview) -> dict[str, str]:
    """Returns each note's text by its kind; each kind tested here occurs once."""
    return {note["kind"]: note["text"] for note in found.notes}


def test_excluded_days_are_passed_over_and_noted() -> None:
    found = shown({"expr": "0 9 * * *", "exclude": ["2030-12-24/2030-12-26"]}, count=4)
    assert [each[8:10] for each in found.fire_times] == ["21", "22", "23", "27"]
    assert found.notes == [
        {
            "at": "2030-12-24T09:00:00+01:00",
            "kind": "excluded",
            "text": "2030-12-24 to 2030-12-26 are excluded.",
        }
    ]


def test_hours_narrow_a_cron_expression_and_are_noted_once() -> None:
    found = shown({"expr": "30 * * * *", "only_between": "22:00-01:00"}, count=6)
    assert [each[11:16] for each in found.fire_times] == ["22:30", "23:30", "00:30"] * 2
    assert [note["kind"] for note in found.notes] == ["outside"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("2030-12-23", "2030-12-23T23:00:00+01:00"),
        ("2030-12-23T09:00", "2030-12-23T09:00:00+01:00"),
        ("2030-12-23T09:00:00Z", "2030-12-23T10:00:00+01:00"),
        ("2030-12-23T08:59:59.999+00:00", "2030-12-23T09:00:00+01:00"),
    ],
)
def test_until_is_local_and_a_date_is_included_whole(until: str, last: str) -> None:
    found = shown({"expr": "0 * * * *", "until": until}, count=200)
    assert found.fire_times[-1] == last
    assert [(note["at"], note["kind"]) for note in found.notes] == [(last, "ended")]


def test_until_a_day_whose_midnight_the_clocks_leap_over_includes_its_last_hour_only() -> None:
    """In Santiago, 8 September 2030 begins at 01:00."""
    config = {"minutes": 30, "until": "2030-09-07"}
    found = shown(config, "interval", zone="America/Santiago", after=datetime(2030, 9, 8, 2, tzinfo=UTC))
    assert found.fire_times == [
        "2030-09-07T22:30:00-04:00",
        "2030-09-07T23:00:00-04:00",
        "2030-09-07T23:30:00-04:00",
    ]


def test_jitter_of_a_trigger_is_shown_as_it_will_be_and_else_announced() -> None:
    config = {"expr": "30 2 * * *", "jitter_seconds": 600}
    change = datetime(2030, 3, 30, 12, tzinfo=UTC)
    found = shown(config, after=change, count=1)
    slot = datetime.fromisoformat(found.fire_times[0])
    moved = datetime(2030, 3, 31, 1, tzinfo=UTC)
    assert moved < slot < moved + timedelta(minutes=10)
    assert {(note["at"], note["kind"]) for note in found.notes} == {
        (found.fire_times[0], "moved"),
        (found.fire_times[0], "jittered"),
    }
    unsaved = shown(config, after=change, count=1, seed=None)
    assert unsaved.fire_times == ["2030-03-31T03:00:00+02:00"]
    assert "less than 600 s" in kinds(unsaved)["jittered"]


def test_jitter_stays_within_the_hours_the_days_and_the_end() -> None:
    config = {
        "expr": "*/20 * * * *",
        "only_between": "17:00-18:00",
        "exclude": ["2030-12-22"],
        "until": "2030-12-23T17:50",
        "jitter_seconds": 86_400,
    }
    times = [datetime.fromisoformat(each) for each in shown(config).fire_times]
    assert [(each.day, each.hour, each.minute // 20) for each in times] == [
        (day, 17, third) for day in (21, 23) for third in range(3)
    ]
    assert times[-1].minute < 50
    assert all(each.second or each.microsecond for each in times)


def test_an_interval_takes_them_all() -> None:
    config = {
        "minutes": 60,
        "only_between": "08:00-11:00",
        "exclude": ["2030-12-22"],
        "until": "2030-12-23T09:30",
        "jitter_seconds": 60,
    }
    found = shown(config, "interval")
    assert [each[8:13] for each in found.fire_times] == ["21T08", "21T09", "21T10", "23T08", "23T09"]
    assert set(kinds(found)) == {"outside", "excluded", "ended", "jittered"}


@pytest.mark.parametrize("kind", ["cron", "interval"])
@pytest.mark.parametrize(
    ("narrowing", "field"),
    [
        ({"jitter_seconds": -1}, "jitter_seconds"),
        ({"jitter_seconds": 86_401}, "jitter_seconds"),
        ({"jitter_seconds": "60"}, "jitter_seconds"),
        ({"jitter_seconds": True}, "jitter_seconds"),
        ({"jitter_seconds": float("nan")}, "jitter_seconds"),
        ({"exclude": "2030-12-24"}, "exclude"),
        ({"exclude": ["24.12.2030"]}, "exclude.0"),
        ({"exclude": ["2030-12-24", "20301225"]}, "exclude.1"),
        ({"exclude": ["2030-02-30"]}, "exclude.0"),
        ({"exclude": ["2030-12-24T00:00"]}, "exclude.0"),
        ({"exclude": ["2031-01-01/2030-12-24"]}, "exclude.0"),
        ({"exclude": ["2030-12-24"] * 367}, "exclude"),
        ({"only_between": "9-18"}, "only_between"),
        ({"until": "soon"}, "until"),
        ({"until": "2030-02-30"}, "until"),
        ({"until": 2030}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"until": "0001-01-01"}, "until"),
        ({"until": ""}, "until"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(kind: str, narrowing: dict[str, Any], field: str) -> None:
    basis = {"expr": "0 9 * * *"} if kind == "cron" else {"minutes": 60}
    with pytest.raises(InvalidField) as refused:
        parse_config(kind_of(kind), basis | narrowing, CheckContext(START))
    assert refused.value.field == f"config.{field}"


@pytest.mark.parametrize(
    ("narrowing", "field"),
    [
        ({"until": "2030-12-20"}, "config.until"),
        ({"until": "2030-12-25", "exclude": ["2030-12-20/2030-12-31"]}, "config.until"),
        ({"only_between": "10:00-11:00"}, "config.only_between"),
        ({"only_between": "10:00-11:00", "until": "2031-12-31", "exclude": ["2030-12-24"]}, "config.only_between"),
        ({"exclude": ["2030-01-01/9999-12-31"]}, "config.exclude"),
        ({"only_between": "10:00-11:00", "until": "2030-01-01"}, "config"),
    ],
)
def test_what_leaves_no_slot_is_refused_by_the_field_that_takes_the_last(
    narrowing: dict[str, Any], field: str
) -> None:
    config = parse_config(kind_of("cron"), {"expr": "0 9 * * *"} | narrowing, CheckContext(START))
    with pytest.raises(InvalidField) as refused:
        first_run(config, "UTC", SEED, START)
    assert refused.value.field == field


def test_an_empty_zone_is_not_the_default_zone() -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(kind_of("cron"), {"expr": "0 9 * * *", "timezone": ""}, CheckContext(START))
    assert refused.value.field == "config.timezone"
