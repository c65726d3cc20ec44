"""The texts of notifications about runs."""

from __future__ import annotations

import pytest

from scheduler.domain.model import TriggerKind
from scheduler.domain.notification import SUMMARY_LENGTH, Cause, content_of, failure_of, reply_in, summary_of
from scheduler.triggers.registry import KINDS

INTERNAL = "You were woken by this trigger. Act on it, and keep your notes up to date."
LANGUAGES = ("en", "zh")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (Cause("daily", "Look at the queue.", "Your queue"), "Your queue"),
        (Cause("daily", "Look at\n  the queue.", None), "Look at the queue."),
        (Cause("daily", "Look at the queue.", "  "), "Look at the queue."),
        (Cause("daily", "", None), "Something new needs attention"),
        (Cause("daily", " \n", None), "Something new needs attention"),
    ],
)
def test_the_summary_is_the_first_of_its_own_the_reason_and_a_default(cause: Cause, expected: str) -> None:
    assert summary_of([cause], "en") == expected


def test_the_default_is_in_the_agents_language() -> None:
    assert summary_of([Cause("每日", "", None)], "zh") == "有新的事件需要处理"
    assert summary_of([Cause("daily", "", None)], "xx") == "Something new needs attention"


def from_system(kind: str, **told: str) -> Cause:
    """A firing whose reason the system wrote for the agent."""
    return Cause(kind, INTERNAL, type=kind, is_system=True, **told)


SOURCES: dict[str, tuple[Cause, str, str]] = {
    "a person's call": (
        from_system(TriggerKind.WAKE, sender_kind="caller", sender_name="key:ops", text="Check\nthe backups"),
        "Request: Check the backups",
        "请求：Check the backups",
    ),
    "an agent's call": (
        from_system(TriggerKind.WAKE, sender_kind="agent", sender_name="worker", text="do this"),
        "Something new needs attention",
        "有新的事件需要处理",
    ),
    "an answer": (
        Cause("a2a_wait worker 1", INTERNAL, type="a2a_wait", sender_kind="agent", sender_name="worker"),
        "An answer arrived",
        "收到了答复",
    ),
    "no answer": (Cause("a2a_wait worker 1", INTERNAL, type="a2a_wait"), "No answer arrived", "没有收到答复"),
    "a chat": (
        Cause("from ops", INTERNAL, type="on_message", sender_kind="user", sender_name="Ada"),
        "Reply to Ada",
        "回复 Ada",
    ),
    "an agent's message": (
        Cause("from ops", INTERNAL, type="on_message", sender_kind="agent", sender_name="worker"),
        "Something new needs attention",
        "有新的事件需要处理",
    ),
    "a heartbeat": (from_system("interval"), "A regular check", "定期查看"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_has_words_for_people_in_both_languages(source: str) -> None:
    cause, english, chinese = SOURCES[source]
    assert (summary_of([cause], "en"), summary_of([cause], "zh")) == (english, chinese)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_words_of_the_system_for_agents_reach_people(kind: str, language: str) -> None:
    """Whatever the kind of trigger, the notification's header contains nothing that the system wrote for the
    agent.
    """
    for sender in (None, "user", "agent", "caller"):
        header = summary_of([from_system(kind, **({"sender_kind": sender} if sender else {}))], language)
        assert header
        assert not any(word in header for word in ("You were", "notes", "a2a", "wake", "trigger", "None", "{"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_trigger_that_has_a_summary_shows_it_whatever_its_kind(kind: str, language: str) -> None:
    cause = Cause("n", INTERNAL, "Your queue", type=kind, sender_kind="user", sender_name="Ada", text="x")
    assert summary_of([cause], language) == "Your queue"


@pytest.mark.parametrize(
    "kind", sorted(set(KINDS) - {TriggerKind.WAKE, TriggerKind.A2A_WAIT, TriggerKind.ON_MESSAGE})
)
def test_the_reason_that_a_person_wrote_heads_a_kind_without_words_of_its_own(kind: str) -> None:
    assert summary_of([Cause("n", "Look at the queue", type=kind)], "en") == "Look at the queue"


def test_a_default_is_left_out_beside_something_that_says_more() -> None:
    causes = [SOURCES["an agent's call"][0], SOURCES["a chat"][0]]
    assert summary_of(causes, "en") == "Reply to Ada"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "reason", ["failed", "timeout", "worker_lost", "deadline", "model_missing", "something new"]
)
def test_a_failure_is_told_in_one_sentence(reason: str, language: str) -> None:
    sentence = failure_of(reason, language)
    assert sentence[-1] in ".。"
    assert sentence.count(sentence[-1]) == 1
    assert "_" not in sentence


def test_a_reason_is_cut_at_eighty_characters_with_a_mark() -> None:
    assert summary_of([Cause("t", "x" * 80, None)], "en") == "x" * 80
    assert summary_of([Cause("t", "x" * 81, None)], "en") == "x" * 79 + "…"


def test_several_triggers_are_joined_each_text_once_and_cut() -> None:
    causes = [Cause("a", "", "One"), Cause("b", "Two", None), Cause("c", "", "One")]
    assert summary_of(causes, "en") == "One · Two"
    many = summary_of([Cause(str(number), f"reason {number}", None) for number in range(100)], "en")
    assert len(many) <= SUMMARY_LENGTH
    assert many.startswith("reason 0 · reason 1")
    assert many.endswith("…")


def test_the_message_is_the_marked_summary_and_the_reply_as_it_is() -> None:
    assert content_of("Your queue", "Well-focused work, on time") == "⚡ Your queue\n\nWell-focused work, on time"


@pytest.mark.parametrize(
    ("content", "reply"),
    [(content_of("Reply to Ada", "One.\n\nTwo."), "One.\n\nTwo."), ("⚡ Zap", "⚡ Zap"), ("A\n\nB", "A\n\nB")],
)
def test_the_reply_is_found_again_in_what_people_read(content: str, reply: str) -> None:
    assert reply_in(content) == reply
