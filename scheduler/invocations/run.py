"""One attempt: its claim, what its worker holds of it while it runs, and the line that the logs show of it.

`attempt` is the fencing token everywhere.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, func, select

from scheduler.domain.ids import new_token, token_hash
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Accepted, Failed, HandedBack, Outcome, Replied, RunRequest, Skipped
from scheduler.domain.text import counted
from scheduler.invocations.concurrency import Candidate
from scheduler.invocations.transitions import EACH, move_each
from scheduler.metrics import CLOSE_TO_CALL, RUN_DURATION
from scheduler.net.connection import BEFORE_SENDING
from scheduler.storage.tables.core import Invocation

_NEXT_ATTEMPT = Invocation.attempt + 1
_TOKEN_HASH = func.decode(EACH.c.token_hash, "hex")

SHOWN_REPLY = 200
SHOWN_TRIGGERS = 5
MOST_IDS = 20
"""The most firings whose ids a log line carries."""


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """An invocation that only this worker runs now. Only the hash of `complete_token` is stored."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    attempt: int
    firing_ids: list[UUID]
    complete_token: str
    context: str | None = None
    """The context given to an earlier attempt."""
    waited: timedelta | None = None
    """How long it was ready before its first attempt."""


def claim_all(conn: Connection, runs: Collection[tuple[UUID, int]], worker: str) -> list[ClaimedRun]:
    """Claims those of `runs`, each (invocation id, attempt number), that are ready for that attempt.

    The others were cancelled, claimed, or have moved on. `worker` is `HOST:PID`.
    """
    tokens = {each: new_token() for each, _ in runs}
    moved = move_each(
        conn,
        [
            {"id": each, "attempt": attempt - 1, "token_hash": token_hash(tokens[each]).hex()}
            for each, attempt in runs
        ],
        InvocationState.READY,
        InvocationState.RUNNING,
        attempt=_NEXT_ATTEMPT,
        worker=worker,
        complete_token_hash=_TOKEN_HASH,
    )
    return [
        ClaimedRun(
            each.id,
            each.tenant_id,
            each.agent_id,
            each.attempt,
            each.firing_ids or [],
            tokens[each.id],
            each.context,
            each.waited if each.attempt == 1 else None,
        )
        for each in moved
    ]


def read_attempts(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[int, str, bool]]:
    """Returns of each invocation its last attempt, its state, and whether its cancellation was requested."""
    columns = (Invocation.id, Invocation.attempt, Invocation.state, Invocation.cancel_requested)
    rows = conn.execute(select(*columns).where(Invocation.id.in_(ids)))
    return {each: (attempt, state, cancel_requested) for each, attempt, state, cancel_requested in rows}


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
