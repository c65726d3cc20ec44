"""One attempt in progress, as its worker holds it, and the line that the console and the logs show of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

from loguru import logger

from scheduler.domain.run import Accepted, Failed, HandedBack, Outcome, Replied, RunRequest, Skipped
from scheduler.domain.text import counted
from scheduler.invocations.concurrency import Candidate
from scheduler.metrics import CLOSE_TO_CALL, RUN_DURATION
from scheduler.net.connection import BEFORE_SENDING

SHOWN_REPLY = 200
SHOWN_TRIGGERS = 5
MOST_IDS = 20
"""The most firings whose ids a log line carries."""


class Run:
    """One attempt in progress. `stop` ends it from outside with the given outcome."""

    def __init__(self, invocation_id: UUID, attempt: int) -> None:
        self.invocation_id = invocation_id
        self.attempt = attempt
        self.request: RunRequest | None = None
        self.place: Candidate | None = None
        """What it is counted for while it takes a place."""
        self.is_held = False
        """Whether it waits on this worker for a place that will soon be free."""
        self.claimed_at = float("inf")
        """The time of the event loop's clock just before the claim."""
        self.alive_at = float("inf")
        """When the worker's last heartbeat before the claim was sent. A later one may have come too late."""
        self._has_sent = False
        self._stopped: Outcome | None = None
        self._task: asyncio.Task[Any] | None = None
        """The task that runs the runtime, while it does."""

    @property
    def key(self) -> tuple[UUID, int]:
        """The invocation id and attempt."""
        return self.invocation_id, self.attempt

    @property
    def ids(self) -> dict[str, object]:
        """Returns the ids that log lines about it carry."""
        ids: dict[str, object] = {"invocation_id": str(self.invocation_id), "attempt": self.attempt}
        if self.request is None:
            return ids
        firings = self.request.firings[:MOST_IDS]
        ids |= {
            "firing_ids": [str(each.id) for each in firings],
            "trigger_ids": list(dict.fromkeys(str(each.trigger.id) for each in firings)),
        }
        if self.request.traceparent is not None:
            ids["trace_id"] = self.request.traceparent.split("-")[1]
        return ids

    def stop(self, outcome: Outcome) -> None:
        """Cancels the runtime, now or as soon as it starts. The first reason counts."""
        self._stopped = self._stopped or outcome
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def begins_within(self, seconds: float, otherwise: Outcome) -> bool:
        """Whether `alive_at` is at most so long ago. If it is longer when the first request is about to be sent,
        `otherwise` ends the run instead: the process may be suspended while it connects.
        """

        def check() -> None:
            if not self._has_sent and self._silence > seconds:
                self.stop(otherwise)
                raise asyncio.CancelledError  # `stop` does not cancel the task that calls it
            self._has_sent = True

        BEFORE_SENDING.set(check)
        return self._silence <= seconds

    @property
    def _silence(self) -> float:
        return asyncio.get_running_loop().time() - self.alive_at

    async def timed(self, running: Coroutine[Any, Any, Outcome], kind: str, waited: timedelta | None) -> Outcome:
        """Does as `outcome_of`; notes how long that took, and how long the invocation was ready before."""
        clock = asyncio.get_running_loop().time
        began = clock()
        if waited is not None:
            CLOSE_TO_CALL.observe(waited.total_seconds() + began - self.claimed_at)
        try:
            with logger.contextualize(**self.ids):
                return await self.outcome_of(running)
        finally:
            RUN_DURATION.labels(kind).observe(clock() - began)

    async def outcome_of(self, running: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Runs a runtime to its end. A result that was there before `stop` took effect counts."""
        if self._stopped is not None:
            running.close()
            return self._stopped
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in one
        try:
            return await running
        except asyncio.CancelledError:
            return self._stopped or Failed("The runtime cancelled itself.")
        except Exception as error:  # noqa: BLE001  # whatever it is, the attempt has ended
            logger.opt(exception=error).error(
                "The runtime of invocation {} failed unexpectedly", self.invocation_id
            )
            return Failed(f"The runtime broke: {type(error).__name__}: {error}")
        finally:
            self._task = None
            while task.cancelling():  # by `stop`; what the task does next is not cancelled
                task.uncancel()


def log_line(request: RunRequest, outcome: Outcome) -> str:
    """Returns the line; replies and errors are cut, control characters escaped."""
    counts = Counter(f"{firing.trigger.name} ({firing.trigger.type})" for firing in request.firings)
    names = [f"{name} x{count}" if count > 1 else name for name, count in counts.most_common(SHOWN_TRIGGERS)]
    more = ["…"] if len(counts) > SHOWN_TRIGGERS else []
    number = counted(len(request.firings), "firing")
    agent, triggers = repr(request.agent.name), ", ".join(names + more)
    if isinstance(outcome, Failed):
        return f"An attempt to wake agent {agent} for {number}, {triggers}, failed: {_short(outcome.error)[1:-1]}"
    return f"Agent {agent} was woken by {number}: {triggers}; {_end(outcome)}"


def level_of(outcome: Outcome) -> str:
    """Returns the level of the line: a failed attempt is a warning."""
    return "WARNING" if isinstance(outcome, Failed) else "INFO"


def _end(outcome: Replied | Accepted | Skipped | HandedBack) -> str:
    match outcome:
        case Replied(text=text):
            return f"it replied {_short(text)}" if text else "it is done"
        case Accepted():
            return "it took the work and will report"
        case Skipped(reason=reason) | HandedBack(reason=reason):
            return reason


def _short(text: str) -> str:
    line = text.strip()
    return repr(line if len(line) <= SHOWN_REPLY else f"{line[:SHOWN_REPLY]}…")
