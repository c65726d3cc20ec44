"""Invalid fields are refused by name, one at a time. The tests share one database: nothing is created."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, agent_body, trigger_body

UNKNOWN = "01890000-0000-7000-8000-000000000000"

pytestmark = pytest.mark.usefixtures("nothing_is_made")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " "},
        {"name": " x"},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"name": 5},
        {"name": None},
        {"dedup_delay_seconds": -1},
        {"dedup_delay_seconds": 3600.5},
        {"dedup_delay_seconds": "30"},
        {"dedup_delay_seconds": True},
        {"max_batch": 0},
        {"max_batch": 1001},
        {"max_batch": 1.5},
        {"max_batch": 10**30},
        {"timeout_seconds": 0},
        {"timeout_seconds": 2**31},
        {"language": "de"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": ""},
        {"expires_at": "tomorrow"},
        {"expires_at": 1_900_000_000},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "9999-12-31T23:59:59-14:00"},
        {"is_paused": True},
        {"id": UNKNOWN},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_agents_field_out_of_range_is_refused(shared: Api, agent_id: str, change: dict[str, Any]) -> None:
    """422 with the field's name, at creation and at a change."""
    (field,) = change
    made = shared.refused(422, "POST", "/agents", agent_body("new") | change)
    changed = shared.refused(422, "PATCH", f"/agents/{agent_id}", change)
    assert made["field"] == changed["field"] == field


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\tb"},
        {"reason": "x" * 4001},
        {"focus_ref": "x" * 201},
        {"urgent": 0},
        {"urgent": "true"},
        {"max_fires": -1},
        {"max_fires": 2**31},
        {"max_fires": 2.5},
        {"cooldown_seconds": -0.1},
        {"cooldown_seconds": 1e300},
        {"grace_seconds": None},
        {"misfire_policy": "maybe"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"config": None},
        {"config": []},
        {"next_fire_at": "2090-01-01T00:00:00Z"},
        {"fire_count": 0},
    ],
    ids=str,
)
def test_a_triggers_field_out_of_range_is_refused(shared: Api, agent_id: str, change: dict[str, Any]) -> None:
    """422 with the field's name."""
    (field,) = change
    problem = shared.refused(422, "POST", f"/agents/{agent_id}/triggers", trigger_body() | change)
    assert problem["field"] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_triggers", 21), ("webhook_rate_limit", 6), ("min_poll_interval_min", 4)],
)
def test_an_agent_stays_within_its_tenants_limits(shared: Api, agent_id: str, field: str, value: int) -> None:
    """Refused at creation and at a change, with the field's name."""
    assert shared.refused(422, "POST", "/agents", agent_body("new", **{field: value}))["field"] == field
    assert shared.refused(422, "PATCH", f"/agents/{agent_id}", {field: value})["field"] == field


@pytest.mark.parametrize(
    ("runtime", "field"),
    [
        ({"kind": "llm", "model_id": "x"}, "runtime.model_id"),
        ({"kind": "pigeon", "url": "https://a.example.org"}, "runtime.kind"),
        ({"kind": "carrier pigeon"}, "runtime.kind"),
        ({"url": "https://a.example.org"}, "runtime.kind"),
        ({"kind": "http"}, "runtime.url"),
        ({"kind": "http", "url": "http://127.0.0.1:9000/"}, "runtime.url"),
        ({"kind": "http", "url": "http://169.254.169.254/latest"}, "runtime.url"),
        ({"kind": "http", "url": "ftp://example.org"}, "runtime.url"),
        ({"kind": "http", "url": "https://me:pw@example.org"}, "runtime.url"),
        ({"kind": "http", "url": "https://a.example.org", "secret": "not base64!"}, "runtime.secret"),
        ({"kind": "command", "name": "/bin/rm"}, "runtime.name"),
        ({"kind": "command", "name": "echo", "args": ["-n"]}, "runtime.args"),
        ("http", "runtime"),
    ],
)
def test_a_runtime_that_cannot_run_is_refused(shared: Api, runtime: object, field: str) -> None:
    """422 with the field's name below `runtime`."""
    problem = shared.refused(422, "POST", "/agents", {"name": "new", "runtime": runtime})
    assert problem["field"] == field


@pytest.mark.parametrize(
    ("kind_name", "config", "field"),
    [
        ("cron", {"expr": "0 0 31 2 *"}, "config.expr"),
        ("cron", {"expr": "30-10 * * * *"}, "config.expr"),
        ("cron", {"expr": "* * * * * *"}, "config.expr"),
        ("cron", {"expr": "0 9 * * *", "timezone": "Mars/Olympus"}, "config.timezone"),
        ("cron", {}, "config.expr"),
        ("cron", {"expr": 5}, "config.expr"),
        ("cron", {"expr": "0 9 * * *", "colour": "red"}, "config.colour"),
        ("cron", "0 9 * * *", "config"),
        ("once", {"at": "2001-01-01T00:00:00Z"}, "config.at"),
        ("once", {"at": "soon"}, "config.at"),
        ("interval", {"minutes": 0}, "config.minutes"),
        ("interval", {"minutes": -5}, "config.minutes"),
        ("interval", {"minutes": 1e12}, "config.minutes"),
        ("interval", {"seconds": 1, "minutes": 1}, "config"),
        ("webhook", {"signature": {"scheme": "github"}}, "config.signature.secret"),
        ("sundial", {}, "type"),
    ],
)
def test_an_invalid_config_is_refused(
    shared: Api, agent_id: str, kind_name: str, config: object, field: str
) -> None:
    """422 with the field's name below `config`, and no trigger is created."""
    body = {"name": "x", "type": kind_name, "config": config}
    problem = shared.refused(422, "POST", f"/agents/{agent_id}/triggers", body)
    assert problem["field"] == field, problem
    assert shared.get("/triggers")["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "nope"}, "type"),
        ({"config": {"expr": "61 * * * *"}}, "config.expr"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"after": "yesterday"}, "after"),
        ({"count": 0}, "count"),
        ({"count": 10**9}, "count"),
        ({"count": True}, "count"),
    ],
)
def test_an_invalid_preview_is_refused(shared: Api, change: dict[str, object], field: str) -> None:
    """422 with the field's name."""
    body = {"type": "cron", "config": {"expr": "0 9 * * *"}} | change
    assert shared.refused(422, "POST", "/triggers/preview", body)["field"] == field
