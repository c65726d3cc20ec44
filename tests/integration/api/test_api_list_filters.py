"""The filters of the API's lists: what each returns, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.schemas.history import FiringQuery
from scheduler.domain.model import InvocationState
from tests.support.api import Api
from tests.support.hooks import make_hook
from tests.support.invocations import bring_to, make_agent_with_trigger, row_of

BEFORE = (datetime.now(UTC) - timedelta(days=1)).isoformat()  # noqa: TID251  # of the database's clock
AFTER = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # noqa: TID251
SPANNED = ("firings", "invocations", "audit", "sessions", "triggers")
WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"from": "yesterday"}, "from"),
    ({"from": ""}, "from"),
    ({"to": "2030-13-01"}, "to"),
    ({"to": "9999-12-31T23:59:59-10:00"}, "to"),
    ({"from": "2030-01-02", "to": "2030-01-01"}, "to"),
    ({"since": "2030-01-01"}, "since"),
)


def ids(api: Api, path: str, **query: object) -> set[str]:
    return {each["id"] for each in api.get(path, **query)["items"]}


@pytest.mark.parametrize("path", [*SPANNED, "deliveries", "messages"])
def test_a_span_that_is_wrong_is_refused_with_its_field(shared: Api, path: str) -> None:
    nothing = "00000000-0000-7000-8000-000000000009"
    below = {"deliveries": f"triggers/{nothing}/deliveries", "messages": f"sessions/{nothing}/messages"}
    for query, field in WRONG:
        problem = shared.refused(422, "GET", f"/{below.get(path, path)}", query_string=query)
        assert problem["field"] == field, query


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("invocations", {"error": ""}),
        ("invocations", {"error": "x" * 201}),
        ("firings", {"error": "x"}),
        ("triggers", {"type": "wake"}),
        ("triggers", {"is_enabled": "perhaps"}),
        ("audit", {"trigger_id": "tick"}),
    ],
)
def test_a_filter_that_is_wrong_is_refused_with_its_field(shared: Api, path: str, query: dict[str, str]) -> None:
    assert shared.refused(422, "GET", f"/{path}", query_string=query)["field"] == next(iter(query))


def test_the_ledger_is_filtered_by_agent_trigger_state_time_and_error(api: Api) -> None:
    ada, bob = make_agent_with_trigger(api.db, "ada"), make_agent_with_trigger(api.db, "bob")
    dead = bring_to(api.db, ada, InvocationState.DEAD)
    bring_to(api.db, bob, InvocationState.SUCCEEDED)
    error = row_of(api.db, dead).tries[-1]["error"]
    asked: list[dict[str, Any]] = [
        {"trigger_id": ada.trigger_id},
        {"error": error[1:].upper()},
        {"error": error, "state": "dead", "agent_id": ada.agent_id, "from": BEFORE, "to": AFTER},
    ]
    for query in asked:
        assert ids(api, "/invocations", **query) == {str(dead)}, query
    assert ids(api, "/invocations", error="%") == set()
    assert len(ids(api, "/audit", trigger_id=ada.trigger_id, action="trigger.fired")) == 1
    for path in SPANNED:
        assert ids(api, f"/{path}", **{"from": AFTER}) == set(), path
        assert ids(api, f"/{path}", to=BEFORE) == set(), path
    for path in ("firings", "invocations"):
        assert len(ids(api, f"/{path}", **{"from": BEFORE, "to": AFTER})) == 2
    # An unescaped plus sign arrives as a space.
    assert len(ids(api, "/firings", **{"from": BEFORE.replace("+", " ")})) == 2


def test_a_day_lasts_to_its_end() -> None:
    span = FiringQuery.model_validate({"from": "2030-01-31", "to": "2030-01-31"}).span
    assert span.since == datetime(2030, 1, 31, tzinfo=UTC)
    assert span.until == datetime(2030, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_triggers_are_filtered(api: Api) -> None:
    agent_id = api.agent("ada")["id"]
    tick = api.trigger(agent_id, "tick", focus_ref="orders/42")["id"]
    bell = api.trigger(agent_id, "bell", type="webhook", config={}, reason="The door.")["id"]
    api.post(f"/triggers/{tick}/fire", status=202)
    api.post(f"/triggers/{bell}/pause", {"note": "at night"}, status=200)
    asked: tuple[tuple[dict[str, Any], str], ...] = (
        ({"type": "webhook"}, bell),
        ({"is_enabled": "false"}, bell),
        ({"text": "DOOR"}, bell),
        ({"text": "night"}, bell),
        ({"text": "orders/"}, tick),
        ({"focus_ref": "orders/42"}, tick),
        ({"from": BEFORE}, tick),
    )
    for query, left in asked:
        for path in ("/triggers", f"/agents/{agent_id}/triggers"):
            assert ids(api, path, **query) == {left}, (path, query)


def test_deliveries_and_messages_are_filtered(api: Api) -> None:
    hook = make_hook(api, {"signature": {"scheme": "github", "secret": "of-a-test"}})
    hook.refused(401)
    path = f"/triggers/{hook.trigger['id']}/deliveries"
    [refused] = api.get(path)["items"]
    left: list[dict[str, Any]] = [
        {"verdict": "refused"},
        {"verdict": "bad_signature"},
        {"error": refused["reason"][1:]},
    ]
    for query in left:
        assert ids(api, path, **query, to=AFTER) == {refused["id"]}, query
    for query in ({"verdict": "accepted"}, {"error": "no such"}, {"to": BEFORE}):
        assert ids(api, path, **query) == set(), query
    assert api.refused(422, "GET", path, query_string={"verdict": "ok"})["field"] == "verdict"
    user = api.post("/users", {"name": "grace"})["id"]
    said = {"from": {"type": "user", "id": user}, "to_agent_id": hook.trigger["agent_id"]}
    first = api.post("/messages", said | {"text": "Good morning"})
    api.post("/messages", said | {"text": "100 % done"})
    path = f"/sessions/{first['session_id']}/messages"
    assert ids(api, path, text="MORNING") == {first["id"]}
    assert len(ids(api, path, **{"from": BEFORE})) == 2
    assert ids(api, path, text="_") == ids(api, path, to=BEFORE) == ids(api, path, tool_state="running") == set()
