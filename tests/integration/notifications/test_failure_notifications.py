"""A run that failed is reported to the person who asked, where they asked, and to nobody else."""

from __future__ import annotations

import pytest

from scheduler.domain.run import Failed, Outcome, Replied, Skipped
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import make_agent, make_trigger
from tests.support.invocations import AgentWithTrigger, close, end, fire, run_once, start
from tests.support.messages import listen, make_user, write

SENTENCES = {
    "en": "Your message could not be answered, because something went wrong.",
    "zh": "抱歉，未能答复您的消息：处理时出了问题。",
}


def said(db: Database) -> list[tuple[str, str]]:
    """Returns what the agent said, with the channel of the session."""
    query = "SELECT channel, text FROM messages WHERE from_type = 'agent' ORDER BY id"
    return [(row.channel, row.text) for row in rows(db, query)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_person_who_asked_is_told_in_the_session_where_they_did(db: Database, language: str) -> None:
    ada = make_agent(db, "ada", dedup_delay_seconds=0.0, language=language)
    grace, linus = make_user(db, "grace"), make_user(db, "linus")
    listen(db, ada, {"from_user": "grace"})
    asked = write(db, ada, "Is it up?", from_user_id=grace, channel="slack").session_id
    write(db, ada, "Hello.", from_user_id=linus)
    run_once(db, Failed("HTTP 404: <html>", permanent=True))
    [(channel, text)] = said(db)
    assert (channel, text.split("\n\n")[1]) == ("slack", SENTENCES[language])
    assert "404" not in text
    [notification] = rows(db, "SELECT * FROM notifications")
    assert (notification.session_ids, notification.failure) == ([asked], SENTENCES[language])


@pytest.mark.parametrize(
    ("outcome", "why"),
    [(Failed("slow", permanent=True, reason="timeout"), "too long"), (Skipped("model_missing"), "no model")],
)
def test_it_is_said_why_in_words_for_people(db: Database, outcome: Outcome, why: str) -> None:
    ada = make_agent(db, "ada", dedup_delay_seconds=0.0)
    grace = make_user(db, "grace")
    listen(db, ada, {"from_user": "grace"})
    write(db, ada, "Is it up?", from_user_id=grace)
    run_once(db, outcome)
    assert why in said(db)[0][1]


@pytest.mark.parametrize("gone", ["SET expires_at = now()", "SET deleted_at = now()"])
def test_the_person_who_asked_a_deleted_agent_is_told(db: Database, gone: str) -> None:
    """Its window is skipped before there is a run."""
    ada = make_agent(db, "ada", dedup_delay_seconds=0.0)
    grace = make_user(db, "grace")
    listen(db, ada, {"from_user": "grace"})
    write(db, ada, "Is it up?", from_user_id=grace)
    change(db, "UPDATE agents " + gone)
    assert close(db).skipped == 1
    [(_, text)] = said(db)
    assert text.endswith("because nobody is left to answer it.")


def test_an_attempt_that_is_repeated_notifies_nobody_yet(db: Database) -> None:
    ada = make_agent(db, "ada", dedup_delay_seconds=0.0)
    grace = make_user(db, "grace")
    listen(db, ada, {"from_user": "grace"})
    write(db, ada, "Is it up?", from_user_id=grace)
    invocation_id = run_once(db, Failed("HTTP 500"))
    assert said(db) == []
    change(db, "UPDATE invocations SET due_at = now()")
    assert close(db).ready == [invocation_id]
    end(db, start(db, invocation_id), Replied("Yes."))
    assert [text.split("\n\n")[1] for _, text in said(db)] == ["Yes."]


def test_what_no_person_asked_for_is_not_told(db: Database) -> None:
    ada = make_agent(db, "ada", dedup_delay_seconds=0.0)
    write(db, ada, "Hello.", from_user_id=make_user(db))
    fire(db, AgentWithTrigger(ada, make_trigger(db, ada, "webhook", cooldown_seconds=0.0).id))
    run_once(db, Failed("never", permanent=True))
    assert (said(db), rows(db, "SELECT * FROM notifications")) == ([], [])
