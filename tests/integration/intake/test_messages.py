"""Message intake: what is stored, and which triggers fire."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.errors import Conflict, InvalidField, NotFound
from scheduler.domain.ids import new_id
from scheduler.intake.messages.intake import MAX_TEXT, receive_message
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.channels import user_of_account
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_tenant
from tests.support.messages import listen, make_user, note, write


def told(db: Database, trigger_id: UUID) -> list[str]:
    """Returns the texts that a trigger's firings carry, oldest first."""
    found = rows(db, "SELECT data FROM firings WHERE trigger_id = :id ORDER BY id", id=trigger_id)
    return [row.data["messages"][0]["text"] for row in found]


def test_a_users_message_is_stored_and_fires_in_the_same_transaction(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db, display_name="Grace H.")
    trigger = listen(db, ada, {"from_user": "grace"}, reason="answer her")
    received = write(db, ada, "Is it up?", from_user_id=grace, channel="slack")
    (firing,) = rows(db, "SELECT * FROM firings")
    assert [firing.id] == received.firing_ids
    assert (firing.trigger_id, firing.occurrence_key) == (trigger.id, f"message:{received.message_id}")
    assert (firing.trust, firing.depth, firing.root_id) == ("verified", 0, firing.id)
    assert firing.data == {
        "messages": [
            {
                "from": {"type": "user", "id": str(grace), "name": "Grace H."},
                "text": "Is it up?",
                "length": 9,
                "message_id": str(received.message_id),
                "session_id": str(received.session_id),
                "channel": "slack",
            }
        ]
    }
    (message,) = rows(db, "SELECT * FROM messages")
    assert (message.from_type, message.from_id, message.to_agent_id) == ("user", grace, ada)


def test_a_message_whose_transaction_fails_left_nothing_and_fired_nothing(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    listen(db, ada, {"from_user": "grace"})
    with db.engine.connect() as conn:
        assert receive_message(conn, note(ada, from_user_id=grace)).firing_ids
        conn.rollback()
    assert rows(db, "SELECT id FROM messages UNION ALL SELECT id FROM firings") == []
    assert rows(db, "SELECT fire_count FROM triggers") == [(0,)]


def test_every_message_has_its_firing_and_all_ride_in_one_invocation(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    for n in range(3):
        write(db, ada, f"line {n}", from_user_id=grace)
    assert told(db, trigger.id) == ["line 0", "line 1", "line 2"]
    assert rows(db, "SELECT firing_count FROM invocations") == [(3,)]


@pytest.mark.parametrize(
    ("config", "message", "fires"),
    [
        ({"channels": ["slack", "web"]}, {"channel": "web"}, True),
        ({"channels": ["slack"]}, {"channel": "web"}, False),
        ({"channels": None}, {"channel": "feishu"}, True),
        ({"text_match": {"contains": "deploy"}}, {"text": "please deploy it"}, True),
        ({"text_match": {"contains": "deploy"}}, {"text": "Deploy"}, False),
        ({"text_match": {"regex": r"^\d+$"}}, {"text": "4711"}, True),
        ({"text_match": {"regex": r"^\d+$"}}, {"text": "no 4711"}, False),
    ],
)
def test_channels_and_text_decide(db: Database, config: Any, message: Any, fires: bool) -> None:
    ada, grace = make_agent(db), make_user(db)
    listen(db, ada, {"from_user": "grace", **config})
    assert len(write(db, ada, from_user_id=grace, **message).firing_ids) == fires


def test_a_trigger_hears_only_its_user_and_only_what_is_said_to_its_agent(db: Database) -> None:
    ada, bob, grace, eve = make_agent(db, "ada"), make_agent(db, "bob"), make_user(db), make_user(db, "eve")
    listen(db, ada, {"from_user": str(grace)})
    assert write(db, ada, from_user_id=eve).firing_ids == []
    assert write(db, bob, from_user_id=grace).firing_ids == []
    assert len(write(db, ada, from_user_id=grace).firing_ids) == 1


def test_agents_hear_each_other_and_any_session_widens_that_to_the_tenant(db: Database) -> None:
    ada, bob, cleo = (make_agent(db, name) for name in ("ada", "bob", "cleo"))
    near = listen(db, bob, {"from_agent": "ada"})
    wide = listen(db, cleo, {"from_agent": "ada", "any_session": True})
    write(db, bob, "to bob", from_agent_id=ada)
    grace = make_user(db)
    session = write(db, ada, from_user_id=grace).session_id
    write(db, None, "to grace", from_agent_id=ada, session_id=session)
    write(db, ada, "not ada's", from_agent_id=bob)
    assert told(db, near.id) == ["to bob"]
    assert told(db, wide.id) == ["to bob", "to grace"]
    assert {row.trust for row in rows(db, "SELECT trust FROM firings")} == {"agent"}


def test_a_session_can_be_singled_out(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    session = write(db, ada, from_user_id=grace, thread="42").session_id
    trigger = listen(db, ada, {"from_user": "grace", "session_id": str(session)})
    write(db, ada, "elsewhere", from_user_id=grace)
    write(db, ada, "here", from_user_id=grace, session_id=session)
    write(db, ada, "here by thread", from_user_id=grace, thread="42")
    assert told(db, trigger.id) == ["here", "here by thread"]


def test_reflection_sessions_never_count(db: Database) -> None:
    ada, bob = make_agent(db, "ada"), make_agent(db, "bob")
    session = write(db, bob, from_agent_id=ada).session_id
    with db.begin() as conn:
        conn.execute(text("UPDATE sessions SET is_reflection = true"))
    listen(db, bob, {"from_agent": "ada", "any_session": True})
    assert write(db, bob, from_agent_id=ada, session_id=session).firing_ids == []


def test_two_agents_share_one_session_whoever_begins_and_users_have_one_for_each_channel(db: Database) -> None:
    ada, bob, grace = make_agent(db, "ada"), make_agent(db, "bob"), make_user(db)
    first = write(db, bob, from_agent_id=ada)
    assert write(db, ada, from_agent_id=bob).session_id == first.session_id
    web = write(db, ada, from_user_id=grace)
    assert write(db, ada, from_user_id=grace).session_id == web.session_id
    assert write(db, ada, from_user_id=grace, channel="slack").session_id != web.session_id


def test_an_event_that_comes_again_is_the_same_message_and_fires_nothing(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    first = write(db, ada, from_user_id=grace, event_id="Ev1")
    again = write(db, ada, from_user_id=grace, event_id="Ev1")
    assert (again.message_id, again.session_id, again.duplicate) == (first.message_id, first.session_id, True)
    assert write(db, ada, from_user_id=grace, event_id="Ev1", channel="slack").duplicate is False
    assert len(told(db, trigger.id)) == 2


def test_a_text_is_kept_whole_and_its_firing_holds_its_beginning(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    write(db, ada, "x" * MAX_TEXT, from_user_id=grace)
    (message,) = rows(db, "SELECT length(text) AS length FROM messages")
    (firing,) = rows(db, "SELECT data FROM firings WHERE trigger_id = :id", id=trigger.id)
    assert message.length == firing.data["messages"][0]["length"] == MAX_TEXT
    assert len(firing.data["messages"][0]["text"]) == 2_000


def test_what_cannot_be_stored_is_replaced_and_what_is_too_long_is_refused(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    write(db, ada, "a\x00b\ud800c", from_user_id=grace)
    assert rows(db, "SELECT text FROM messages") == [("a\ufffdb?c",)]
    with pytest.raises(InvalidField, match="65536 are allowed"):
        write(db, ada, "x" * (MAX_TEXT + 1), from_user_id=grace)
    with pytest.raises(InvalidField, match="empty"):
        write(db, ada, "", from_user_id=grace)


def test_an_expression_that_would_backtrack_for_ever_is_a_miss_and_says_so(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    slow = listen(db, ada, {"from_user": "grace", "text_match": {"regex": "(a|aa)+$"}})
    received = write(db, ada, "a" * 60 + "b", from_user_id=grace)
    assert received.firing_ids == []
    (event,) = rows(db, "SELECT * FROM audit_events WHERE action = 'trigger.match_failed'")
    assert event.subject_id == slow.id
    assert event.detail == {"message_id": str(received.message_id), "why": "the expression took too long"}


def test_gates_hold_and_max_fires_ends_the_trigger_with_its_job(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"}, max_fires=2)
    triggers = Triggers(db, BOX)
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    assert write(db, ada, "unheard", from_user_id=grace).firing_ids == []
    triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    for n in range(3):
        write(db, ada, str(n), from_user_id=grace)
    assert told(db, trigger.id) == ["0", "1"]
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at, ended.fire_count) == (
        False,
        "max_fires",
        None,
        2,
    )


def test_names_resolve_within_the_tenant_and_are_stored_as_ids(db: Database) -> None:
    ada, bob = make_agent(db, "ada"), make_agent(db, "bob")
    grace = make_user(db, display_name="Grace H.")
    assert listen(db, ada, {"from_agent": "bob"}).config == {"from_agent": str(bob)}
    assert listen(db, ada, {"from_user": "Grace H."}).config == {"from_user": str(grace)}
    assert listen(db, ada, {"from_user": str(grace)}).config == {"from_user": str(grace)}
    elsewhere = make_tenant(db, "elsewhere")
    foreign = make_user(db, "linus", elsewhere)
    for stranger in ("linus", str(foreign)):
        with pytest.raises(InvalidField, match="no user"):
            listen(db, ada, {"from_user": stranger})


def test_an_unknown_or_ambiguous_name_is_refused_with_the_candidates(db: Database) -> None:
    ada = make_agent(db, "ada")
    make_agent(db, "bob")
    make_user(db, "grace1", display_name="Grace")
    make_user(db, "grace2", display_name="Grace")
    with pytest.raises(InvalidField, match=r"there is 'bob'") as unknown:
        listen(db, ada, {"from_agent": "bobb"})
    assert unknown.value.field == "config.from_agent"
    with pytest.raises(InvalidField, match=r"more than one user.*grace1 \(.*grace2 \(") as ambiguous:
        listen(db, ada, {"from_user": "Grace"})
    assert ambiguous.value.field == "config.from_user"
    with pytest.raises(InvalidField, match="no session"):
        listen(db, ada, {"from_agent": "bob", "session_id": str(new_id())})


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "one of from_agent and from_user"),
        ({"from_agent": "bob", "from_user": "grace"}, "one of from_agent and from_user"),
        ({"from_user": "grace", "any_session": True}, "any_session requires from_agent"),
        ({"from_agent": "bob", "any_session": True, "session_id": "x"}, "any_session or session_id"),
        ({"from_agent": "ada"}, "its own messages"),
        ({"from_agent": "bob", "channels": []}, "channels"),
        ({"from_agent": "bob", "channels": ["Slack!"]}, "channels"),
        ({"from_agent": "bob", "interval_seconds": 1}, "interval_seconds"),
        ({"from_agent": "bob", "interval_seconds": 3600}, "interval_seconds"),
        ({"from_agent": "bob", "text_match": {}}, "contains and regex"),
        ({"from_agent": "bob", "text_match": {"regex": "("}}, "regex"),
        ({"from_agent": 1}, "from_agent"),
    ],
)
def test_configs_that_cannot_work_are_refused(db: Database, config: Any, why: str) -> None:
    ada = make_agent(db, "ada")
    make_agent(db, "bob")
    make_user(db)
    with pytest.raises(InvalidField, match=why):
        listen(db, ada, config)


def test_who_is_not_in_a_session_cannot_write_into_it(db: Database) -> None:
    ada, bob, grace, eve = make_agent(db, "ada"), make_agent(db, "bob"), make_user(db), make_user(db, "eve")
    session = write(db, ada, from_user_id=grace).session_id
    for receiver, sender in ((ada, eve), (bob, grace)):
        with pytest.raises(InvalidField, match="does not belong to this sender"):
            write(db, receiver, session_id=session, from_user_id=sender)
    with pytest.raises(NotFound):
        write(db, ada, from_user_id=grace, session_id=new_id())
    with pytest.raises(NotFound):
        write(db, new_id(), from_user_id=grace)
    with pytest.raises(InvalidField, match="to itself"):
        write(db, ada, from_agent_id=ada)
    with pytest.raises(InvalidField, match="needs a session"):
        write(db, None, from_agent_id=ada)


def test_a_channels_person_becomes_one_user(db: Database) -> None:
    grace = make_user(db, external_ids={"slack": "U1"})
    with db.begin() as conn:
        assert user_of_account(conn, DEFAULT_TENANT, "slack", "U1", "G") == grace
        new = user_of_account(conn, DEFAULT_TENANT, "slack", "U2", "Linus")
        assert user_of_account(conn, DEFAULT_TENANT, "slack", "U2", "Linus T.") == new
    assert rows(db, "SELECT name, display_name FROM users WHERE id = :id", id=new) == [("slack:U2", "Linus")]
    with pytest.raises(Conflict):
        make_user(db, "other", external_ids={"slack": "U2"})
    with pytest.raises(Conflict):
        make_user(db, "grace")
