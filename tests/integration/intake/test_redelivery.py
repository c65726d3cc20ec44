"""Replaying webhook deliveries: one, or all within a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import Conflict, InvalidField, NotFound, ReveilleError
from scheduler.intake.webhooks.redeliver import MOST_AT_ONCE, Redelivery, redeliver, redeliver_range
from tests.support.api import Api
from tests.support.factories import DEFAULT_TENANT, make_tenant
from tests.support.hooks import NO_LIMIT, Hook, github_signature, make_hook

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def again(hook: Hook, delivery_id: str, tenant_id: UUID = DEFAULT_TENANT) -> Redelivery:
    with hook.api.db.begin() as conn:
        return redeliver(conn, tenant_id, UUID(hook.id), UUID(delivery_id), actor="key:test")


def all_again(hook: Hook, since: datetime = LONG_AGO) -> list[Redelivery]:
    until = SystemClock().now() + timedelta(hours=1)
    with hook.api.db.begin() as conn:
        return redeliver_range(conn, DEFAULT_TENANT, UUID(hook.id), since, until, actor="key:test")


def test_an_accepted_delivery_fires_again_as_it_came(api: Api) -> None:
    """Same body, type and trust; a new firing each time; counted, and audited with the person."""
    hook = make_hook(api, {"signature": {"scheme": "github", "secret": "s"}})
    signature = github_signature(b"\xff", "s")
    first = hook.accepted(b"\xff", content_type="a/b", webhook_id="1", x_hub_signature_256=signature)
    (delivery,) = hook.deliveries()
    replayed = [again(hook, delivery["id"]) for _ in range(2)]
    firings = hook.firings()
    assert [str(each.id) for each in firings] == [first, *(str(each.firing_id) for each in replayed)]
    assert {(each.payload, each.content_type, each.trust) for each in firings} == {(b"\xff", "a/b", "verified")}
    assert firings[1].invocation_id == replayed[0].invocation_id
    assert api.get(f"/triggers/{hook.id}")["fire_count"] == 3
    event, _ = api.get("/audit", action="webhook.replayed")["items"]
    assert event["actor"] == "key:test"
    assert event["detail"] == {"delivery_id": delivery["id"], "firing_id": str(replayed[1].firing_id)}


def test_a_filtered_delivery_can_be_let_through(api: Api) -> None:
    """A filtered delivery fires after all; neither filter nor rate applies."""
    hook = make_hook(api, {"filter": {"json_path": "$.never"}}, rate=1)
    assert hook.post(b"[1]").json == {"firing_id": None, "duplicate": False, "filtered": True}
    filtered = hook.deliveries()[0]["id"]
    hook.accepted(b'{"never": 1}')
    hook.refused(429, b"[2]")
    again(hook, filtered)
    assert [(each.payload, each.trust) for each in hook.firings()][1:] == [(b"[1]", "unauthenticated")]


def test_a_range_fires_again_in_the_order_of_arrival(api: Api) -> None:
    """Accepted and filtered ones, not duplicates and refused ones; each once."""
    hook = make_hook(api, {"filter": {"json_path": "$.x"}}, rate=2)
    bodies = [b'{"x": 1}', b'{"y": 1}', b'{"x": 2}']
    for place, body in enumerate(bodies):
        hook.post(body, webhook_id=str(place))
    hook.post(b'{"x": 1}', webhook_id="0")
    hook.refused(429, b'{"x": 3}')
    replayed = all_again(hook)
    assert [each.payload for each in hook.firings()][2:] == bodies
    assert [each.delivery_id for each in replayed] == [
        UUID(each["id"]) for each in reversed(hook.deliveries()[2:])
    ]
    assert all_again(hook, SystemClock().now() + timedelta(minutes=30)) == []


def test_what_cannot_be_replayed_is_refused_and_fires_nothing(api: Api) -> None:
    """Unknown ones, another trigger's or tenant's, refused ones, and those whose body was removed."""
    hook, other = make_hook(api, rate=1), make_hook(api)
    hook.accepted()
    hook.refused(429)
    refused, accepted = (each["id"] for each in hook.deliveries())
    tenant_id = make_tenant(api.db, "other")
    cases: list[tuple[type[ReveilleError], Hook, str, UUID]] = [
        (NotFound, hook, str(uuid4()), DEFAULT_TENANT),
        (NotFound, hook, refused, DEFAULT_TENANT),
        (NotFound, other, accepted, DEFAULT_TENANT),
        (NotFound, hook, accepted, tenant_id),
    ]
    for error, of_hook, delivery_id, tenant in cases:
        with pytest.raises(error):
            again(of_hook, delivery_id, tenant)
    with api.db.begin() as conn:
        conn.execute(text("DELETE FROM firings"))
    with pytest.raises(Conflict, match="no longer stored"):
        again(hook, accepted)
    assert all_again(hook) == []
    with pytest.raises(InvalidField):
        all_again(hook, datetime(2100, 1, 1, tzinfo=UTC))
    assert hook.firings() == []


def test_a_replay_does_not_pass_the_gates(api: Api) -> None:
    """A paused trigger is a Conflict; so is a range that exceeds max_fires, as a whole."""
    hook = make_hook(api, max_fires=5)
    for _ in range(3):
        hook.accepted()
    with pytest.raises(Conflict, match="2 more"):
        all_again(hook)
    api.post(f"/triggers/{hook.id}/pause", status=200)
    with pytest.raises(Conflict, match="disabled"):
        again(hook, hook.deliveries()[0]["id"])
    assert len(hook.firings()) == 3


def test_a_range_is_bounded(api: Api) -> None:
    """More than a hundred at once are refused as a whole."""
    hook = make_hook(api, rate=NO_LIMIT)
    for _ in range(MOST_AT_ONCE + 1):
        hook.accepted()
    with pytest.raises(InvalidField):
        all_again(hook)
    assert len(hook.firings()) == MOST_AT_ONCE + 1


def test_the_api_replays_one_delivery_or_those_of_a_time(api: Api) -> None:
    """202 with the new firings; an empty range replays nothing."""
    hook = make_hook(api)
    hook.accepted(b"one")
    hook.accepted(b"two")
    newest, oldest = hook.deliveries()
    path = f"/triggers/{hook.id}/deliveries"
    one = api.post(f"{path}/{oldest['id']}/replay", status=202)
    assert one["delivery_id"] == oldest["id"]
    span = {"since": oldest["received_at"], "until": newest["received_at"]}
    both = api.post(f"{path}/replay", span, status=202)["items"]
    assert [each["delivery_id"] for each in both] == [oldest["id"], newest["id"]]
    assert [each.payload for each in hook.firings()] == [b"one", b"two", b"one", b"one", b"two"]
    assert str(hook.firings()[-1].id) == both[1]["firing_id"]
    nothing = {"since": "2020-01-01", "until": "2020-01-02"}
    assert api.post(f"{path}/replay", nothing, status=202) == {"items": []}
    api.refused(422, "POST", f"{path}/replay", {"since": "2020-01-02", "until": "2020-01-01"})
