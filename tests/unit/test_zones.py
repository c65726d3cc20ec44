"""Zones by name, and the clock changes in them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.zones import clock_change_at, instant_of, load_zone


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Europe/Berln", r"did you mean Europe/Berlin.*[^.]$"),
        ("europe/berlin", "did you mean Europe/Berlin"),
        ("new york", "America/New_York"),
        ("tokyo", "did you mean Asia/Tokyo"),
        ("Mars/Olympus", "time zone 'Mars/Olympus' is not known; "),
        ("@@@@@@", "use an IANA name such as Europe/Berlin"),
        ("", "time zone '' is not known; use an IANA name such as Europe/Berlin[.]$"),
        ("Europe", "is not known"),
        ("../../etc/passwd", "is not known"),
        ("/etc/localtime", "is not known"),
        ("UTC\0", "is not known"),
        ("localtime", "is not known"),
        ("x" * 5000, r"^time zone 'x{80}' is not known"),
    ],
)
def test_an_unknown_zone_is_refused_with_what_was_meant(name: str, says: str) -> None:
    with pytest.raises(InvalidField, match=says) as refusal:
        load_zone(name)
    assert refusal.value.field == "timezone"


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_a_known_zone_is_loaded(name: str) -> None:
    assert load_zone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    ("zone", "during", "at", "before", "after"),
    [
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00Z", "2026-03-29 02:00", "2026-03-29 03:00"),
        ("Europe/Berlin", "2026-10-25 02:59:59", "2026-10-25 01:00Z", "2026-10-25 03:00", "2026-10-25 02:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:00", "2026-10-03 15:30Z", "2026-10-04 02:00", "2026-10-04 02:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:30", "2026-04-04 15:00Z", "2026-04-05 02:00", "2026-04-05 01:30"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00Z", "2011-12-30 00:00", "2011-12-31 00:00"),
        ("Asia/Kathmandu", "1986-01-01 00:14:59", "1985-12-31 18:30Z", "1986-01-01 00:00", "1986-01-01 00:15"),
    ],
)
def test_a_clock_change_is_found_from_any_time_that_it_touches(
    zone: str, during: str, at: str, before: str, after: str
) -> None:
    change = clock_change_at(ZoneInfo(zone), local(during))
    assert change is not None
    assert (change.at, change.before, change.after) == (local(at), local(before), local(after))
    assert change.is_forward == (local(after) > local(before))


@pytest.mark.parametrize("time", ["01:59:59", "03:00", "12:00"])
def test_an_ordinary_time_has_no_clock_change(time: str) -> None:
    assert clock_change_at(ZoneInfo("Europe/Berlin"), local(f"2026-03-29 {time}")) is None


def test_fold_tells_the_two_instants_of_a_repeated_time_apart() -> None:
    berlin, twice = ZoneInfo("Europe/Berlin"), local("2026-10-25 02:30")
    assert instant_of(berlin, twice, fold=0) == local("2026-10-25 00:30+00:00")
    assert instant_of(berlin, twice, fold=1) == local("2026-10-25 01:30+00:00")
