"""Users, messages and sessions through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api

TOO_LONG = 65_537


def user(api: Api, name: str = "grace", **fields: object) -> Any:
    """Creates a user."""
    return api.post("/users", {"name": name, **fields})


def said(to: Any, text: str = "hello", *, by: str = "grace", **fields: object) -> dict[str, object]:
    """Sends a user's message."""
    return {"from": {"type": "user", "name": by}, "to_agent_id": to["id"], "text": text, **fields}


def test_a_message_wakes_its_agent_and_is_found_again(api: Api) -> None:
    """201 with Location and the firings; complete by id, truncated in the session's list."""
    ada, grace = api.agent(), user(api, display_name="Grace H.")
    config = {"from_user": "grace", "channels": ["web"]}
    trigger = api.trigger(ada["id"], type="on_message", config=config)
    assert trigger["config"] == config | {"from_user": grace["id"]}
    assert trigger["next_fire_at"] is not None
    response = api.call("POST", "/messages", said(ada, "x" * 3000))
    sent = api.ok(response, 201)
    assert response.headers["Location"] == f"/api/v1/messages/{sent['id']}"
    assert sent["duplicate"] is False
    firing = api.get(f"/firings/{sent['firing_ids'][0]}")
    assert firing["trigger_id"] == trigger["id"]
    assert firing["data"]["messages"][0]["message_id"] == sent["id"]
    message = api.get(f"/messages/{sent['id']}")
    assert (message["text"], message["length"]) == ("x" * 3000, 3000)
    assert (message["from_type"], message["from_id"], message["to_agent_id"]) == ("user", grace["id"], ada["id"])
    (listed,) = api.get(f"/sessions/{sent['session_id']}/messages")["items"]
    assert listed == message | {"text": "x" * 2000}
    (session,) = api.get("/sessions", agent_id=ada["id"], user_id=grace["id"], channel="web")["items"]
    assert (session["id"], session["is_reflection"]) == (sent["session_id"], False)
    assert api.get("/sessions", channel="slack")["items"] == []


def test_an_event_that_comes_again_answers_200_with_the_first_message(api: Api) -> None:
    """A sender that repeats itself gets the original."""
    ada = api.agent()
    user(api)
    first = api.post("/messages", said(ada, event_id="Ev1"))
    again = api.post("/messages", said(ada, event_id="Ev1"), 200)
    assert again == first | {"duplicate": True}
    problem = api.refused(409, "POST", "/messages", said(ada, "other", event_id="Ev1"))
    assert problem["type"].endswith(":event-id-reused")
    assert (problem["field"], first["id"] in problem["detail"]) == ("event_id", True)


def test_messages_are_paged_newest_first(api: Api) -> None:
    """Like every list."""
    ada = api.agent()
    user(api)
    sent = [api.post("/messages", said(ada, str(n))) for n in range(3)]
    path = f"/sessions/{sent[0]['session_id']}/messages"
    first = api.get(path, limit=2)
    rest = api.get(path, limit=2, after=first["next"])
    assert [item["text"] for item in first["items"] + rest["items"]] == ["2", "1", "0"]
    assert rest["next"] is None


def test_agents_write_as_themselves(api: Api) -> None:
    """Their key is enough; they cannot write as others."""
    ada, bob = api.agent("ada"), api.agent("bob")
    user(api)
    api.trigger(bob["id"], type="on_message", config={"from_agent": "ada"})
    key = api.with_key(f"agent:{ada['id']}")
    sent = key.post("/messages", {"to_agent_id": bob["id"], "text": "done"})
    assert len(sent["firing_ids"]) == 1
    assert api.get(f"/messages/{sent['id']}")["from_id"] == ada["id"]
    session = api.get("/sessions")["items"][0]
    assert (session["channel"], {session["agent_id"], session["peer_agent_id"]}) == (
        "agent",
        {ada["id"], bob["id"]},
    )
    own = {"from": {"type": "agent", "name": "ada"}, "to_agent_id": bob["id"], "text": "again"}
    assert key.post("/messages", own)["session_id"] == sent["session_id"]
    assert key.refused(422, "POST", "/messages", said(bob))["field"] == "from"
    key.refused(
        404, "POST", "/messages", own | {"from": {"type": "agent", "name": "bob"}, "to_agent_id": ada["id"]}
    )
    assert key.refused(422, "POST", "/messages", {"to_agent_id": ada["id"], "text": "x"})["field"] == "to_agent_id"
    assert key.get("/sessions")["items"] == [session]
    assert len(api.with_key(f"agent:{bob['id']}").get(f"/sessions/{session['id']}/messages")["items"]) == 2


def test_an_agent_reads_the_message_that_woke_it_wherever_that_was_written(api: Api) -> None:
    """`any_session` shows a message of another user's session; the session itself stays inaccessible."""
    ada, bob, cleo = (api.agent(name) for name in ("ada", "bob", "cleo"))
    api.trigger(cleo["id"], type="on_message", config={"from_agent": "ada", "any_session": True})
    message = {"from": {"type": "agent", "id": ada["id"]}, "to_agent_id": bob["id"], "text": "for bob"}
    sent = api.post("/messages", message)
    key = api.with_key(f"agent:{cleo['id']}")
    assert key.get(f"/messages/{sent['id']}")["text"] == "for bob"
    key.refused(404, "GET", f"/sessions/{sent['session_id']}/messages")
    api.with_key(f"agent:{api.agent('dan')['id']}").refused(404, "GET", f"/messages/{sent['id']}")


def test_an_invalid_message_is_refused(api: Api) -> None:
    """Each with the wrong field."""
    ada, bob = api.agent(), api.agent("bob")
    user(api)
    user(api, "eve")
    session = api.post("/messages", said(ada))["session_id"]
    nobody = "00000000-0000-7000-8000-0000000000ff"
    wrong: list[tuple[dict[str, object], str]] = [
        ({"to_agent_id": ada["id"], "text": "x"}, "from"),
        (said(ada, by="nobody"), "from"),
        (said({"id": nobody}), "to_agent_id"),
        (said({"id": "ada"}), "to_agent_id"),
        (said(ada, ""), "text"),
        (said(ada, "x" * TOO_LONG), "text"),
        (said(ada, "a\0b"), "text"),
        (said(ada, channel="trigger"), "channel"),
        (said(ada, channel="Slack!"), "channel"),
        (said(ada, session_id=nobody), "session_id"),
        (said(bob, session_id=session), "session_id"),
        (said(ada, by="eve", session_id=session), "session_id"),
        (said(ada) | {"from": {"type": "user"}}, "from"),
        (said(ada) | {"from": {"type": "user", "name": "grace", "id": nobody}}, "from"),
        (said(ada) | {"from": {"type": "robot", "name": "grace"}}, "from.type"),
        (said(ada, depth=0), "depth"),
    ]
    for body, field in wrong:
        assert api.refused(422, "POST", "/messages", body)["field"] == field, body
    assert "there is 'grace'" in api.refused(422, "POST", "/messages", said(ada, by="grase"))["detail"]


def test_a_megabyte_of_text_is_refused_with_a_clear_message(api: Api) -> None:
    """422 while the body fits into 1 MiB, 413 when it does not; nothing is stored."""
    ada = api.agent()
    user(api)
    problem = api.refused(422, "POST", "/messages", said(ada, "x" * 1_000_000))
    assert "65,536 characters" in problem["detail"]
    assert "1048576 bytes" in api.refused(413, "POST", "/messages", said(ada, "x" * 1_100_000))["detail"]
    assert api.get("/sessions")["items"] == []


def test_users_are_made_listed_and_distinguished(api: Api) -> None:
    """Names are unique in the tenant, and so are ids on a channel; other tenants are independent."""
    grace = user(api, display_name="Grace", external_ids={"slack": "U1", "discord": "7"})
    assert grace["external_ids"] == {"slack": "U1", "discord": "7"}
    assert api.get(f"/users/{grace['id']}") == grace
    assert api.refused(409, "POST", "/users", {"name": "grace"})["field"] == "name"
    taken = {"name": "other", "external_ids": {"slack": "U1"}}
    assert api.refused(409, "POST", "/users", taken)["field"] == "external_ids.slack"
    assert api.get("/users")["items"] == [grace]
    rival = api.as_(api.key, api.tenant("rival"))
    rival.post("/users", {"name": "grace", "external_ids": {"slack": "U1"}})
    for body in ({}, {"name": ""}, {"name": "x", "external_ids": {"Slack!": "U"}}, {"name": "x", "email": "y"}):
        api.refused(422, "POST", "/users", body)
    assert [each["action"] for each in api.get("/audit", action="user")["items"]] == ["user.created"]


@pytest.mark.parametrize("field", ["from_agent", "from_user"])
def test_names_of_another_tenant_are_unknown(api: Api, field: str) -> None:
    """As if they did not exist."""
    rival = api.as_(api.key, api.tenant("rival"))
    rival.post("/users", {"name": "grace"})
    rival.post("/agents", {"name": "bob", "runtime": {"kind": "command", "name": "echo"}})
    ada = api.agent()
    name = {"from_agent": "bob", "from_user": "grace"}[field]
    body = {"name": "t", "type": "on_message", "config": {field: name}}
    problem = api.refused(422, "POST", f"/agents/{ada['id']}/triggers", body)
    assert problem["field"] == f"config.{field}"
    assert "in this tenant" in problem["detail"]
