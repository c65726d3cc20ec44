"""History through the API: firings, invocations and the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.run import Accepted, Failed, Replied
from scheduler.invocations.run import ClaimedRun
from scheduler.storage.firing_documents import add_documents
from scheduler.triggers.looks import Document
from tests.support.api import Api
from tests.support.invocations import claim, close_due_windows, finish


@dataclass
class Scene:
    """An agent with a trigger and a webhook."""

    agent_id: str
    trigger_id: str
    hook: str
    hook_id: str


@pytest.fixture
def scene(api: Api) -> Scene:
    agent_id = api.agent(webhook_rate_limit=5)["id"]
    hook = api.trigger(agent_id, "hook", type="webhook", config={})
    path = "//hooks/" + hook["hook_url"].rsplit("/", 1)[1]
    return Scene(agent_id, api.trigger(agent_id)["id"], path, hook["id"])


def deliver(api: Api, scene: Scene, body: bytes, content_type: str = "text/plain") -> str:
    """Delivers to the webhook and returns the firing's id."""
    answer = api.ok(api.call("POST", scene.hook, data=body, content_type=content_type), 202)
    return str(answer["firing_id"])


def run(api: Api) -> ClaimedRun:
    """Closes the open window and claims its invocation, as a worker would."""
    with api.db.begin() as conn:
        conn.execute(text("UPDATE invocations SET due_at = clock_timestamp() WHERE state = 'collecting'"))
    with api.db.begin() as conn:
        (invocation_id,) = close_due_windows(conn, 10).ready
    with api.db.begin() as conn:
        claimed = claim(conn, invocation_id, "host:1")
    assert claimed is not None
    return claimed


def end(api: Api, claimed: ClaimedRun, outcome: Any) -> None:
    """Ends the attempt `claimed`."""
    with api.db.begin() as conn:
        assert finish(conn, claimed.id, claimed.attempt, outcome)


def test_a_payload_is_kept_byte_by_byte(api: Api, scene: Scene) -> None:
    """Text as text, other bytes as base64, and the raw bytes as a download that no browser displays."""
    plain = deliver(api, scene, "grüße \0".encode(), "text/html")
    odd = deliver(api, scene, b"\xff\x00", "image/png")
    empty = deliver(api, scene, b"")
    shown = api.get(f"/firings/{plain}")
    assert (shown["payload"], shown["payload_base64"], shown["content_type"]) == ("grüße \0", None, "text/html")
    assert shown["payload_size"] == 9
    shown = api.get(f"/firings/{odd}")
    assert (shown["payload"], shown["payload_base64"]) == (None, "/wA=")
    assert api.get(f"/firings/{empty}")["payload"] == ""
    raw = api.call("GET", f"/firings/{odd}/payload")
    assert raw.data == b"\xff\x00"
    assert raw.content_type == "application/octet-stream"
    assert raw.headers["Content-Disposition"] == f'attachment; filename="firing-{odd}"'
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    assert api.call("GET", f"/firings/{empty}/payload").data == b""
    by_hand = api.post(f"/triggers/{scene.trigger_id}/fire", None, 202)["firing_id"]
    api.refused(404, "GET", f"/firings/{by_hand}/payload")
    assert all("payload" not in item for item in api.get("/firings")["items"])


def test_a_document_is_listed_and_downloaded(api: Api, scene: Scene) -> None:
    fired = deliver(api, scene, b"")
    assert api.get(f"/firings/{fired}")["documents"] == []
    with api.db.begin() as conn:
        add_documents(conn, UUID(fired), [Document("mail-7.eml", "message/rfc822", b"From: a\r\n\r\n\xff")])
    told = {"number": 1, "name": "mail-7.eml", "content_type": "message/rfc822", "size": 12}
    assert api.get(f"/firings/{fired}")["documents"] == [told]
    raw = api.call("GET", f"/firings/{fired}/documents/1")
    assert (raw.data, raw.content_type) == (b"From: a\r\n\r\n\xff", "application/octet-stream")
    assert raw.headers["Content-Disposition"] == f'attachment; filename="firing-{fired}-1"'
    api.refused(404, "GET", f"/firings/{fired}/documents/2")
    for wrong in ("0", "x", "1001"):
        api.refused(422, "GET", f"/firings/{fired}/documents/{wrong}")


def test_firings_are_filtered(api: Api, scene: Scene) -> None:
    """By agent, trigger and state, newest first."""
    other = api.agent("other")["id"]
    other_trigger = api.trigger(other)["id"]
    first = deliver(api, scene, b"1")
    second = deliver(api, scene, b"2")
    third = api.post(f"/triggers/{other_trigger}/fire", None, 202)["firing_id"]

    def ids(**query: str) -> list[str]:
        return [item["id"] for item in api.get("/firings", **query)["items"]]

    assert ids() == [third, second, first]
    assert ids(agent_id=scene.agent_id) == [second, first]
    assert ids(trigger_id=other_trigger) == [third]
    assert ids(trigger_id=other_trigger, agent_id=scene.agent_id) == []
    assert ids(state="pending", trigger_id=scene.hook_id) == [second, first]
    assert ids(state="delivered") == []


def test_an_invocation_shows_what_it_carries_and_how_it_went(api: Api, scene: Scene) -> None:
    """Window, run, reply; its firings oldest first."""
    firings = [deliver(api, scene, b"1"), deliver(api, scene, b"2")]
    invocation_id = api.get(f"/firings/{firings[0]}")["invocation_id"]
    path = f"/invocations/{invocation_id}"
    window = api.get(path)
    assert (window["state"], window["firing_count"]) == ("collecting", 2)
    assert [firing["id"] for firing in window["firings"]] == firings
    claimed = run(api)
    assert str(claimed.id) == invocation_id
    assert api.get(path)["state"] == "running"
    assert [item["id"] for item in api.get("/invocations", state="running")["items"]] == [invocation_id]
    assert api.get("/invocations", state="dead")["items"] == []
    end(api, claimed, Replied("done: ü"))
    ended = api.get(path)
    assert (ended["state"], ended["reply"], ended["attempt"]) == ("succeeded", "done: ü", 1)
    (tried,) = ended["tries"]
    assert (tried["attempt"], tried["outcome"], tried["error"]) == (1, "succeeded", None)
    assert tried["ended_at"].endswith("Z")
    assert [firing["state"] for firing in ended["firings"]] == ["delivered", "delivered"]
    assert "reply" not in api.get("/invocations", agent_id=scene.agent_id)["items"][0]


def test_an_invocation_is_cancelled(api: Api, scene: Scene) -> None:
    """A window at once, a running one at its end, an ended one not at all."""
    deliver(api, scene, b"1")
    window = api.get("/invocations")["items"][0]
    assert api.post(f"/invocations/{window['id']}/cancel", None, 200)["state"] == "cancelled"
    api.refused(409, "POST", f"/invocations/{window['id']}/cancel")
    deliver(api, scene, b"2")
    claimed = run(api)
    asked = api.post(f"/invocations/{claimed.id}/cancel", None, 200)
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)
    end(api, claimed, Failed("stopped"))
    assert api.get(f"/invocations/{claimed.id}")["state"] == "cancelled"
    actions = [event["action"] for event in api.get("/audit", subject_id=claimed.id)["items"]]
    assert actions == ["invocation.cancelled", "invocation.cancel_requested"]


def test_an_invocation_is_replayed(api: Api, scene: Scene) -> None:
    """202 with the invocation that carries the firings again; both sides show it. Not before the end."""
    firing = deliver(api, scene, b"1")
    claimed = run(api)
    path = f"/invocations/{claimed.id}"
    api.refused(409, "POST", f"{path}/replay")
    end(api, claimed, Failed("no", permanent=True))
    assert api.get(path)["state"] == "dead"
    again = api.post(f"{path}/replay", None, 202)["invocation_id"]
    assert api.get(path)["replayed_into"] == again
    for each in (path, f"/invocations/{again}"):
        assert [item["id"] for item in api.get(each)["firings"]] == [firing]
    assert api.get(f"/firings/{firing}")["invocation_id"] == again


def test_an_attempts_token_completes_its_invocation(api: Api, scene: Scene) -> None:
    """An agent that answered 202 needs only its token; a second report is a conflict."""
    deliver(api, scene, b"1")
    claimed = run(api)
    end(api, claimed, Accepted())
    path = f"/invocations/{claimed.id}/complete"
    agent = api.as_(claimed.complete_token)
    api.as_("another").refused(401, "POST", path, {"attempt": 1})
    agent.refused(409, "POST", path, {"attempt": 2})
    agent.refused(422, "POST", path, {"attempt": 1, "reply": "a", "error": "b"})
    agent.refused(422, "POST", path, {"attempt": 0})
    agent.refused(401, "GET", f"/invocations/{claimed.id}")
    assert agent.post(path, {"attempt": 1, "reply": "done"}, 200)["state"] == "succeeded"
    assert api.get(f"/invocations/{claimed.id}")["reply"] == "done"
    agent.refused(409, "POST", path, {"attempt": 1, "reply": "done"})


def test_a_write_key_completes_an_invocation(api: Api, scene: Scene) -> None:
    """An error is a failed attempt, to be retried; a read key is not enough."""
    deliver(api, scene, b"1")
    claimed = run(api)
    end(api, claimed, Accepted())
    path = f"/invocations/{claimed.id}/complete"
    api.with_key("read").refused(403, "POST", path, {"attempt": 1})
    done = api.with_key("write").post(path, {"attempt": 1, "error": "out of paper"}, 200)
    assert done["state"] == "retrying"
    assert api.get(f"/invocations/{claimed.id}")["tries"][0]["error"] == "out of paper"


def test_the_audit_holds_who_and_what_and_every_firing(api: Api, scene: Scene) -> None:
    """Firings are read where they are recorded: a manual one has its person, others are the system's."""
    writer = api.with_key("write")
    fired = writer.post(f"/triggers/{scene.trigger_id}/fire", None, 202)["firing_id"]
    delivered = deliver(api, scene, b"1")
    events = api.get("/audit", action="trigger.fired")["items"]
    assert [(event["actor"], event["detail"]["firing_id"]) for event in events] == [
        ("system", delivered),
        ("key:write", fired),
    ]
    writer.post(f"/triggers/{scene.trigger_id}/pause", {"note": "later"}, 200)
    (paused,) = api.get("/audit", action="trigger.paused")["items"]
    assert (paused["actor"], paused["subject_id"], paused["agent_id"]) == (
        "key:write",
        scene.trigger_id,
        scene.agent_id,
    )
    assert paused["detail"]["note"] == "later"
    about = {event["action"] for event in api.get("/audit", subject_id=scene.hook_id)["items"]}
    assert about == {"trigger.created", "trigger.fired"}
    triggers = [event["action"] for event in api.get("/audit", action="trigger")["items"]]
    assert triggers == ["trigger.paused", "trigger.fired", "trigger.fired", *["trigger.created"] * 2]
    assert {event["subject_type"] for event in api.get("/audit", action="agent")["items"]} == {"agent"}


def test_what_belongs_to_no_tenant_is_the_operators_to_see(api: Api) -> None:
    """The operator creates and deletes tenants, and no tenant sees another's events."""
    tenant_id = api.tenant("acme")
    admin = api.with_key("admin", tenant_id=tenant_id)
    assert [event["action"] for event in api.get("/audit")["items"]] == ["tenant.created"]
    assert [event["action"] for event in admin.get("/audit")["items"]] == ["key.created"]
    assert api.with_key("admin").get("/audit", action="tenant")["items"] == []


def test_the_audit_pages_over_events_and_firings_together(api: Api, scene: Scene) -> None:
    """Page by page it is the same trail, without repetitions or gaps."""
    for body in (b"1", b"2", b"3"):
        deliver(api, scene, body)
        api.post(f"/triggers/{scene.trigger_id}/pause", {"note": "x"}, 200)
    whole = api.get("/audit")["items"]
    paged: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = api.get("/audit", limit=2, **after)
        paged += page["items"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert paged == whole
    assert len(whole) == 9
    assert [UUID(event["id"]) for event in whole] == sorted((UUID(event["id"]) for event in whole), reverse=True)
