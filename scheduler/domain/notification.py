"""Words the notifications about an agent's runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.domain.model import TriggerKind

MARK = "⚡"
REASON_LENGTH = 80
"""The characters of a trigger's reason, or of its message, that a summary shows."""
SUMMARY_LENGTH = 200
"""The character limit of a whole summary, and of the summary configured on a trigger."""
SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Translation:
    """The default texts for people, by source."""

    default: str
    called: str
    answered: str
    unanswered: str
    chat: str
    heartbeat: str
    failure: str
    """One sentence about a failed run; `{why}` is a placeholder."""
    whys: Mapping[str, str]
    """By the invocation's reason; the others use `whys["failed"]`."""


WORDS = {
    "en": Translation(
        default="Something new needs attention",
        called="Request: {text}",
        answered="An answer arrived",
        unanswered="No answer arrived",
        chat="Reply to {name}",
        heartbeat="A regular check",
        failure="Your message could not be answered, because {why}.",
        whys={
            "failed": "something went wrong",
            "timeout": "it took too long",
            "deadline": "no answer was ready in time",
            "worker_lost": "the work was interrupted repeatedly",
            "model_missing": "no model is available to think about it",
            "model_disabled": "no model is available to think about it",
            "agent_deleted": "nobody is left to answer it",
            "agent_expired": "nobody is left to answer it",
        },
    ),
    "zh": Translation(
        default="有新的事件需要处理",
        called="请求：{text}",
        answered="收到了答复",
        unanswered="没有收到答复",
        chat="回复 {name}",
        heartbeat="定期查看",
        failure="抱歉，未能答复您的消息：{why}。",
        whys={
            "failed": "处理时出了问题",
            "timeout": "处理时间过长",
            "deadline": "未能按时得到答复",
            "worker_lost": "处理过程多次中断",
            "model_missing": "没有可用的模型",
            "model_disabled": "没有可用的模型",
            "agent_deleted": "已经没有人可以答复",
            "agent_expired": "已经没有人可以答复",
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the firings that woke the agent."""

    name: str
    reason: str
    """Written for the agent; also shown to people if a person or the agent created the trigger."""
    summary: str | None = None
    """The text configured on the trigger for people, instead of its reason."""
    type: str = ""
    is_system: bool = False
    sender_kind: str | None = None
    """The sender's type of its message, if any: `user`, `agent` or `caller`."""
    sender_name: str | None = None
    text: str | None = None


def summary_of(causes: Iterable[Cause], language: str) -> str:
    """Builds one line from each firing's summary, or the default text of its source, without duplicates."""
    words = WORDS.get(language, WORDS["en"])
    texts = dict.fromkeys(_one(cause, words) for cause in causes)
    if len(texts) > 1:
        texts.pop(words.default, None)
    return _cut(SEPARATOR.join(texts), SUMMARY_LENGTH)


def failure_of(reason: str, language: str) -> str:
    """Returns one sentence for the person who asked about a failed run, without internal details."""
    words = WORDS.get(language, WORDS["en"])
    return words.failure.format(why=words.whys.get(reason, words.whys["failed"]))


def content_of(summary: str, reply: str) -> str:
    """Builds the message for people: the marked summary and the agent's reply below it."""
    return f"{MARK} {summary}\n\n{reply}"


def reply_in(content: str) -> str:
    """Extracts the agent's reply from a message for people; a message without the mark is returned unchanged."""
    heading, _, reply = content.partition("\n\n")
    return reply if heading.startswith(f"{MARK} ") and reply else content


def _one(cause: Cause, words: Translation) -> str:
    return _line(cause.summary or "") or _cut(_by_source(cause, words), REASON_LENGTH)


def _by_source(cause: Cause, words: Translation) -> str:
    """Returns the text by source. System reasons and messages between agents are not meant for people."""
    text, name = _line(cause.text or ""), _line(cause.sender_name or "")
    match cause.type:
        case TriggerKind.WAKE:
            return words.called.format(text=text) if text and cause.sender_kind == "caller" else words.default
        case TriggerKind.A2A_WAIT:
            return words.answered if cause.sender_kind else words.unanswered
        case TriggerKind.ON_MESSAGE if cause.sender_kind:
            return words.chat.format(name=name) if name and cause.sender_kind == "user" else words.default
    if cause.is_system:
        return words.heartbeat
    return _line(cause.reason) or words.default


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
