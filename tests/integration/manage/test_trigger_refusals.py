"""Bad input is refused with its field's name, and nothing is created."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.domain.errors import InvalidField
from scheduler.storage.engine import Database
from tests.support.factories import make_agent, make_trigger


@pytest.mark.parametrize(
    ("kind_name", "config", "field"),
    [
        ("cron", {"expr": "0 0 31 2 *"}, "config.expr"),
        ("cron", {"expr": "30-10 * * * *"}, "config.expr"),
        ("cron", {"expr": "0 0 * * * *"}, "config.expr"),
        ("cron", {"expr": "0 9 * * *", "timezone": "Europe/Berln"}, "config.timezone"),
        ("cron", {}, "config.expr"),
        ("once", {"at": "2001-01-01"}, "config.at"),
        ("once", {"at": "tomorrow"}, "config.at"),
        ("interval", {"seconds": 0}, "config.seconds"),
        ("interval", {"seconds": -5}, "config.seconds"),
        ("interval", {"minutes": 1e12}, "config.minutes"),
        ("interval", {"minutes": 5, "seconds": 5}, "config"),
        ("interval", {"seconds": "60"}, "config.seconds"),
        ("interval", {"second": 60}, "config.second"),
        ("webhook", {"signature": {"scheme": "morse"}}, "config.signature.scheme"),
        ("sundial", {}, "type"),
    ],
)
def test_a_bad_config_is_refused_by_the_name_of_its_field(
    db: Database, kind_name: str, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        make_trigger(db, make_agent(db), kind_name, config=config)
    assert (caught.value.field or "").startswith(field)
    with db.begin() as conn:
        assert conn.scalar(text("SELECT count(*) FROM triggers")) == 0


@pytest.mark.parametrize("config", [{"minutes": 0}, {"seconds": 0.5}, {"minutes": 600_000}])
def test_the_bounds_of_an_interval_are_told_in_words(db: Database, config: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as caught:
        make_trigger(db, make_agent(db), "interval", config=config)
    ((unit, value),) = config.items()
    assert caught.value.message == (
        f"config.{unit}: {value} is out of bounds; an interval is from 1 second to 366 days."
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "evil\u202etxt"}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "zero\u200bwidth"}, "name"),
        ({"name": " around "}, "name"),
        ({"focus_ref": "orders/\u2066 42"}, "focus_ref"),
        ({"max_fires": -1}, "max_fires"),
        ({"cooldown_seconds": float("nan")}, "cooldown_seconds"),
        ({"grace_seconds": -1.0}, "grace_seconds"),
        ({"misfire_policy": "never"}, "misfire_policy"),
        ({"expires_at": datetime(2001, 1, 1, tzinfo=UTC)}, "expires_at"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(db: Database, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        make_trigger(db, make_agent(db), **values)
    assert caught.value.field == field
