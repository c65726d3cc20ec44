"""Formats a run as one line for the console and the logs: who was woken, by what, and how it ended."""

from __future__ import annotations

from collections import Counter

from scheduler.domain.run import Accepted, Failed, HandedBack, Outcome, Replied, RunRequest, Skipped

SHOWN_REPLY = 200
SHOWN_TRIGGERS = 5


def told(request: RunRequest, outcome: Outcome) -> str:
    """Returns the line; replies and errors are cut, control characters escaped."""
    counts = Counter(f"{firing.trigger.name} ({firing.trigger.type})" for firing in request.firings)
    names = [f"{name} x{count}" if count > 1 else name for name, count in counts.most_common(SHOWN_TRIGGERS)]
    more = ["…"] if len(counts) > SHOWN_TRIGGERS else []
    woken = (
        f"Agent {request.agent.name!r} was woken by {len(request.firings)} firing(s): {', '.join(names + more)}"
    )
    return f"{woken}; {_end(outcome)}"


def _end(outcome: Outcome) -> str:
    match outcome:
        case Replied(text=text):
            return f"it replied {_short(text)}" if text else "it is done"
        case Accepted():
            return "it took the work and will report"
        case Failed(error=error):
            return f"the try failed: {_short(error)}"
        case Skipped(reason=reason) | HandedBack(reason=reason):
            return reason


def _short(text: str) -> str:
    line = text.strip()
    return repr(line if len(line) <= SHOWN_REPLY else f"{line[:SHOWN_REPLY]}…")
