"""What a sender's own id of a message is compared with."""

from __future__ import annotations

import pytest

from scheduler.intake.messages.intake import EventReused
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import make_agent
from tests.support.messages import listen, make_user, write

TOLD = "SELECT id FROM firings WHERE trigger_id = :id"


def test_an_event_id_belongs_to_its_sender_and_its_receiver(db: Database) -> None:
    """Everyone may count from 1."""
    ada, bob, grace, joan = make_agent(db, "ada"), make_agent(db, "bob"), make_user(db), make_user(db, "joan")
    sent = [
        write(db, ada, "one", from_user_id=grace, event_id="1"),
        write(db, ada, "two", from_user_id=joan, event_id="1"),
        write(db, bob, "three", from_user_id=grace, event_id="1"),
        write(db, ada, "four", from_agent_id=bob, event_id="1"),
        write(db, ada, "five", from_user_id=grace, event_id="1", channel="slack"),
    ]
    assert [each.duplicate for each in sent] == [False] * 5
    assert len({each.message_id for each in sent}) == 5
    assert write(db, ada, "two", from_user_id=joan, event_id="1").message_id == sent[1].message_id


def test_an_event_id_with_another_text_is_refused_and_changes_nothing(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    first = write(db, ada, "deploy", from_user_id=grace, event_id="1")
    with pytest.raises(EventReused, match=str(first.message_id)) as refused:
        write(db, ada, "roll back", from_user_id=grace, event_id="1")
    assert (refused.value.status, refused.value.field) == (409, "event_id")
    assert len(rows(db, TOLD, id=trigger.id)) == 1
    assert write(db, ada, "deploy", from_user_id=grace, event_id="1").duplicate is True
