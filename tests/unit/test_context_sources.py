"""Texts by source: who waits for an answer, and what an `llm` agent is told about it."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.context import Language, is_asked, is_delegated, reason_of
from scheduler.domain.context.translations import WORDS
from scheduler.runtimes.llm.prompts import instructions

PERSON = ("verified", {"messages": [{"from": {"type": "user", "name": "Ada"}, "text": "Is it up?"}]})
CALLER = ("verified", {"messages": [{"from": {"type": "caller", "name": "key:ops"}, "text": "Check."}]})
AGENT = ("agent", {"messages": [{"from": {"type": "agent", "name": "bob"}, "text": "It is out."}]})
DELEGATED = (
    "agent",
    {"messages": [{"from": {"type": "agent", "name": "bob"}, "text": "Do.", "delegation_id": "1"}]},
)
WEBHOOK = ("verified", None)
POLL = ("unauthenticated", {"old": 1, "new": 2})


@pytest.mark.parametrize(
    ("firing", "asked", "delegated"),
    [
        (PERSON, True, False),
        (CALLER, True, False),
        (AGENT, False, False),
        (DELEGATED, False, True),
        (WEBHOOK, False, False),
        (POLL, False, False),
    ],
)
def test_a_person_and_a_delegation_ask_for_an_answer_and_a_notification_does_not(
    firing: tuple[str, Any], asked: bool, delegated: bool
) -> None:
    assert (is_asked([firing]), is_delegated([firing])) == (asked, delegated)
    assert (is_asked([POLL, firing]), is_delegated([POLL, firing])) == (asked, delegated)


@pytest.mark.parametrize(
    ("language", "quiet", "asked", "delegated"),
    [
        ("en", "write nothing when", "Always answer", "Another agent waits"),
        ("zh", "什么也不写", "务必答复", "等待你对其任务的答复"),
    ],
)
def test_the_model_is_told_whether_it_may_keep_silent(
    language: str, quiet: str, asked: str, delegated: str
) -> None:
    told = instructions(language, "ada", "role")
    assert quiet in told
    assert asked not in told
    told = instructions(language, "ada", "role", is_asked=True)
    assert quiet not in told
    assert asked in told
    assert delegated in instructions(language, "ada", "role", is_delegated=True)
    assert "<<<task" in told
    assert told.endswith("role")


@pytest.mark.parametrize("language", list(WORDS))
def test_a_call_is_told_by_who_calls_and_other_reasons_are_their_triggers(language: Language) -> None:
    words = WORDS[language]
    assert reason_of("wake", "stored", CALLER[1], language) == words.called
    assert reason_of("wake", "stored", AGENT[1], language) == words.told_by_agent.format(name="bob")
    assert reason_of("wake", "stored", DELEGATED[1], language) == words.delegated.format(name="bob")
    assert reason_of("on_message", "Answer her.", PERSON[1], language) == "Answer her."
    assert reason_of("interval", WORDS["en"].heartbeat, None, language) == words.heartbeat
