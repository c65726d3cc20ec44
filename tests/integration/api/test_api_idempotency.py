"""Idempotency-Key: a repeated request does nothing, and gets the same response."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.api import Api, trigger_body

KEYED = {"Idempotency-Key": "k1"}


@pytest.fixture
def paths(api: Api) -> dict[str, tuple[str, Any, Any]]:
    """Returns, for each kind of request, its path, its body and another body."""
    agent = api.agent("worker")
    user = api.post("/users", {"name": "ada"})
    trigger = api.post(f"/agents/{agent['id']}/triggers", trigger_body("hook", type="webhook", config={}))
    listen = trigger_body("listen", type="on_message", config={"from_user": "ada"})
    api.post(f"/agents/{agent['id']}/triggers", listen)
    message = {"from": {"type": "user", "id": user["id"]}, "to_agent_id": agent["id"], "text": "hello"}
    return {
        "fire": (f"/triggers/{trigger['id']}/fire", None, None),
        "wake": (f"/agents/{agent['id']}/wake", {"message": "hello"}, {"message": "other"}),
        "messages": ("/messages", message, message | {"text": "other"}),
    }


@pytest.mark.parametrize("kind", ["fire", "wake", "messages"])
def test_a_request_that_is_sent_again_is_answered_as_before(api: Api, paths: Any, kind: str) -> None:
    """With the first firing; without a key each is a new one. Another content with the key is refused."""
    path, body, other = paths[kind]
    first = call(api, path, body, KEYED)
    again = call(api, path, body, KEYED)
    assert again == first | {"duplicate": True}
    assert firings(api) == 1
    if other is not None:
        problem = api.refused(422, "POST", path, other, headers=KEYED)
        assert problem["field"] == "Idempotency-Key" and "a different request" in problem["detail"]
    assert firings(api) == 1
    call(api, path, other, {"Idempotency-Key": "k2"})
    call(api, path, body, {})
    assert firings(api) == 3


@pytest.mark.parametrize("kind", ["fire", "wake", "messages"])
def test_many_at_once_do_it_once(api: Api, paths: Any, kind: str) -> None:
    """Those that wait for the first get its response."""
    path, body, _ = paths[kind]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: call(api, path, body, KEYED), range(6)))
    assert [each["duplicate"] for each in answers].count(False) == 1
    assert len({str(each.get("firing_id") or each["firing_ids"]) for each in answers}) == 1
    assert firings(api) == 1


def test_a_key_belongs_to_its_caller_and_to_what_it_is_sent_to(api: Api, paths: Any) -> None:
    """The same key of another caller, or for another receiver, is independent."""
    path, body, _ = paths["wake"]
    call(api, path, body, KEYED)
    another = api.agent("another")
    call(api, f"/agents/{another['id']}/wake", body, KEYED)
    secret = api.post("/api-keys", {"name": "second", "scopes": ["write"]})["key"]
    answer = call(api, path, body, KEYED | {"Authorization": f"Bearer {secret}"})
    assert answer["duplicate"] is False
    assert firings(api) == 3


def test_a_repetition_is_told_so_when_nothing_may_fire_any_more(api: Api, paths: Any) -> None:
    """A refused request does not use up the key, and what was done stays done."""
    path, _, _ = paths["fire"]
    trigger = path.split("/")[2]
    api.patch(f"/triggers/{trigger}", {"max_fires": 1})
    first = call(api, path, None, KEYED)
    assert call(api, path, None, KEYED) == first | {"duplicate": True}
    api.refused(409, "POST", path, headers={"Idempotency-Key": "k2"})
    api.post(f"/triggers/{trigger}/resume", status=200)
    assert call(api, path, None, {"Idempotency-Key": "k2"})["duplicate"] is False


@pytest.mark.parametrize("key", ["", "  ", "x" * 256, "a\tb", "ü"])
def test_a_key_that_cannot_be_one_is_refused(api: Api, paths: Any, key: str) -> None:
    """Instead of being ignored, because the caller relies on it."""
    path, body, _ = paths["wake"]
    assert api.refused(422, "POST", path, body, headers={"Idempotency-Key": key})["field"] == "Idempotency-Key"


def test_keys_are_forgotten_after_a_week(api: Api, paths: Any) -> None:
    """By later requests."""
    path, body, _ = paths["wake"]
    call(api, path, body, KEYED)
    with api.db.begin() as conn:
        conn.execute(text("UPDATE idempotency_keys SET created_at = created_at - interval '8 days'"))
    call(api, path, body, {"Idempotency-Key": "k2"})
    with api.db.begin() as conn:
        assert conn.execute(text("SELECT key FROM idempotency_keys")).scalars().all() == ["k2"]


def call(api: Api, path: str, body: object, headers: dict[str, str]) -> Any:
    """Returns the response to an accepted request."""
    response = api.call("POST", path, body, headers=headers)
    assert response.status_code in (200, 201, 202), response.text
    return response.json


def firings(api: Api) -> int:
    """Returns the number of firings."""
    return len(api.get("/firings")["items"])
