"""An agent can read everything that woke it, and nothing of others."""

from __future__ import annotations

from scheduler.domain.ids import new_id
from scheduler.storage.engine import Database
from scheduler.storage.firing_documents import add_documents
from scheduler.triggers.looks import Document
from tests.support.database import change, rows
from tests.support.factories import make_agent, make_tenant
from tests.support.invocations import fire, make_agent_with_trigger
from tests.support.messages import listen, make_user, write
from tests.support.tools import Toolbox


def test_a_firing_is_read_whole(db: Database) -> None:
    woken = make_agent_with_trigger(db, "ada")
    text_id, bytes_id, bare_id = (
        fire(db, woken, payload=payload, content_type="text/plain")[0]
        for payload in (b"x" * 60_000, b"\xff\x00", None)
    )
    tools = Toolbox(db, woken.agent_id)
    shown = tools("get_firing", firing_id=str(text_id))
    assert shown["payload"] == "x" * 60_000
    assert (shown["trigger"]["type"], shown["content_type"], shown["trust"]) == ("webhook", "text/plain", "system")
    assert tools("get_firing", firing_id=str(bytes_id))["payload_base64"] == "/wA="
    assert tools("get_firing", firing_id=str(bare_id))["payload"] is None
    with db.begin() as conn:
        documents = [Document("mail-7.eml", "message/rfc822", body) for body in (b"Subject: x\r\n\r\ny", b"\xff")]
        add_documents(conn, bare_id, documents)
    assert [each["number"] for each in tools("get_firing", firing_id=str(bare_id))["documents"]] == [1, 2]
    whole = tools("get_firing", firing_id=str(bare_id), document=1)
    assert (whole["text"], whole["name"]) == ("Subject: x\r\n\r\ny", "mail-7.eml")
    assert tools("get_firing", firing_id=str(bare_id), document=2)["base64"] == "/w=="
    assert "has no document 3" in tools.refused("get_firing", firing_id=str(bare_id), document=3)


def test_a_message_is_read_whole_by_whom_it_concerns(db: Database) -> None:
    ada, bob, grace = make_agent(db, "ada"), make_agent(db, "bob"), make_user(db)
    listen(db, ada, {"from_user": "grace"})
    received = write(db, ada, "y" * 30_000, from_user_id=grace)
    tools = Toolbox(db, ada)
    data = tools("get_firing", firing_id=str(received.firing_ids[0]))["data"]
    assert len(data["messages"][0]["text"]) == 2_000
    message = tools("get_message", message_id=data["messages"][0]["message_id"])
    assert (message["text"], message["from"]["type"]) == ("y" * 30_000, "user")
    assert "no message" in Toolbox(db, bob).refused("get_message", message_id=message["id"])


def test_what_is_others_is_not_there(db: Database) -> None:
    woken, bob = make_agent_with_trigger(db, "ada"), make_agent(db, "bob")
    firing_id = fire(db, woken)[0]
    foreign = make_agent(db, "foreign", make_tenant(db, "elsewhere"))
    for agent_id in (bob, foreign):
        tools = Toolbox(db, agent_id)
        assert "no" in tools.refused("get_firing", firing_id=str(firing_id)).lower()
        if agent_id is bob:
            assert tools("list_invocations") == {"invocations": []}
    assert "It must be an id" in Toolbox(db, bob).refused("get_firing", firing_id="x")
    assert "an id that your context names" in Toolbox(db, bob).refused("get_firing", firing_id=str(new_id()))
    (shown,) = Toolbox(db, woken.agent_id)("list_invocations", state="collecting")["invocations"]
    assert shown["firing_count"] == 1
    assert "collecting" in Toolbox(db, bob).refused("list_invocations", state="asleep")


def test_a_deleted_agent_does_nothing_more(db: Database) -> None:
    ada = make_agent(db, "ada")
    make_agent(db, "bob")
    change(db, "UPDATE agents SET deleted_at = clock_timestamp() WHERE id = :id", id=ada)
    tools = Toolbox(db, ada)
    for tool, arguments in (
        ("set_trigger", {"name": "x", "type": "webhook", "reason": "x"}),
        ("wake_agent", {"agent": "bob", "message": "x"}),
        ("send_message", {"to_agent": "bob", "text": "x"}),
        ("delegate", {"agent": "bob", "task": "x"}),
        ("reply", {"text": "x"}),
    ):
        assert "no agent" in tools.refused(tool, **arguments), tool
    assert rows(db, "SELECT id FROM firings") == []


def test_an_agent_does_not_pile_up_ended_triggers(db: Database) -> None:
    ada = make_agent(db, "ada", max_triggers=20)
    tools = Toolbox(db, ada)
    tools("set_trigger", name="x", type="webhook", reason="x")
    change(
        db,
        """
        INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, is_enabled,
            created_by)
        SELECT gen_random_uuid(), tenant_id, agent_id, 'old ' || n, type, config, zone, false, created_by
        FROM triggers, generate_series(1, 999) n
        """,
    )
    said = tools.refused("set_trigger", name="y", type="webhook", reason="y")
    assert "1000 triggers, including ended and paused ones" in said and "cancel_trigger" in said
    tools("cancel_trigger", trigger="old 1")
    tools("set_trigger", name="y", type="webhook", reason="y")
