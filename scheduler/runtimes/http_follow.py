"""Follows a run that an HTTP service has only started: polls it until it ends, also from another worker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from loguru import logger

from scheduler.domain.errors import ConfigurationError, ReveilleError
from scheduler.domain.json_values import matches
from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.domain.templates import fill_path
from scheduler.net.client import Answer
from scheduler.net.errors import parse_retry_after
from scheduler.runtimes.base import RuntimeParts
from scheduler.runtimes.http_call import EXCERPT, NOTHING, TEMPORARY, Call, Caller, Reading, document_of, value_at
from scheduler.runtimes.http_settings import Follow
from scheduler.storage.remote_tasks import KnownTask

ANSWER = "answer"
"""The prefix of names from the first response, in the paths of `async`."""
FIRST_LOOK, LONGEST_LOOK = 1.0, 10.0
"""The seconds between two polls of a run."""
START_SECONDS = 3.0
"""How much longer the start of a run may take when the invocation is stopped meanwhile: its address is needed."""
LOOK_SECONDS = 60.0
"""The timeout of a poll."""
MAX_MISSES = 5
"""How many consecutive polls may fail."""
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
DONE = ("done", "completed", "complete", "succeeded", "success", "successful", "finished", "ok", True)
FAILED = (
    "failed",
    "failure",
    "error",
    "errored",
    "cancelled",
    "canceled",
    "aborted",
    "expired",
    "timeout",
    "stopped",
)


class Following:
    """One attempt: follows the run of an earlier attempt, or starts a new one."""

    def __init__(
        self, follow: Follow, reading: Reading, caller: Caller, parts: RuntimeParts, timeout_seconds: float
    ) -> None:
        self._follow = follow
        self._reading = reading
        self._caller = caller
        self._parts = parts
        self._timeout = timeout_seconds
        self._last = ""  # what the last poll said, for people

    async def run(self, invocation_id: UUID) -> Outcome:
        """Follows it to its end, at most the agent's timeout. Raises ReveilleError."""
        try:
            async with asyncio.timeout(self._timeout):
                known = await self._recall(invocation_id)
                outcome = None if known is None else await self._resume(known)
                return outcome or await self._begin(invocation_id)
        except TimeoutError:
            return Failed(f"The run was not over within {self._timeout:g} s{self._last}.", reason="timeout")

    async def _begin(self, invocation_id: UUID) -> Outcome:
        answer, url = await _with_time(self._start(invocation_id))
        if not 200 <= answer.status < 300:
            return self._reading.outcome(answer, self._parts.clock.now())
        over = self._end_of(answer) if self._follow.done_path else None
        if over is not None:
            return await self._result(answer, over)
        if url is None and answer.status != HTTPStatus.ACCEPTED:
            return self._without_run(answer)
        if url is None:
            raise ConfigurationError(
                f"The agent answered HTTP {answer.status} and did not say where its run is "
                f"({self._follow.poll_path or self._header()}); set the runtime's async to where it says so."
            )
        return await self._watch(url, answer)

    def _without_run(self, answer: Answer) -> Outcome:
        """Returns the outcome of an answer that names no run: it is the reply."""
        outcome = self._reading.outcome(answer, self._parts.clock.now())
        if not isinstance(outcome, Replied):
            return outcome
        lost = f"The response names no run ({self._follow.poll_path or self._header()}), so it is the reply."
        return replace(outcome, note=" ".join(filter(None, (lost, outcome.note))))

    async def _start(self, invocation_id: UUID) -> tuple[Answer, str | None]:
        """Starts a run. Returns the answer and, of a run that is not over, its address, which is remembered."""
        answer = await self._request(self._caller.wake(), self._timeout)
        if not 200 <= answer.status < 300 or (self._follow.done_path and self._end_of(answer) is not None):
            return answer, None
        url = self._address(answer, self._follow.poll_path)
        if url is not None:
            await self._remember(invocation_id, url, answer)
        return answer, url

    async def _resume(self, url: str) -> Outcome | None:
        """Follows the run of an earlier attempt.

        Returns None if a new one must be started: that one failed, or is gone.
        """
        answer = await self._look(url)
        over = self._end_of(answer)
        if isinstance(over, Failed) and not over.permanent:
            return None
        return await self._watch(url, answer, is_look=True)

    async def _watch(self, url: str, answer: Answer, *, is_look: bool = False) -> Outcome:
        """Polls until the run ends."""
        pause, misses = FIRST_LOOK, 0
        first = answer
        while True:
            over = self._end_of(answer) if is_look else None
            if over is not None:
                return await self._result(first, over)
            await asyncio.sleep(self._pause(pause, answer))
            pause, is_look = min(pause * 1.5, LONGEST_LOOK), True
            try:
                answer = await self._look(url)
            except ReveilleError as error:
                if error.permanent:
                    raise
                self._last = f"; the last check: {error.message.rstrip('.')}"
                misses += 1
                if misses == MAX_MISSES:
                    raise
                is_look = False
                continue
            misses = misses + 1 if _is_miss(answer) else 0
            if misses == MAX_MISSES:
                return self._reading.outcome(answer, self._parts.clock.now())

    def _end_of(self, answer: Answer) -> Outcome | None:
        """Returns the outcome, or None while the run continues or its server is temporarily unavailable."""
        if _is_miss(answer):
            self._last = f"; the last check was answered with HTTP {answer.status}"
            return None
        if not 200 <= answer.status < 300:
            # One that is gone may be started again; after any other response that could be a second run in
            # parallel.
            refused = self._reading.outcome(answer, self._parts.clock.now())
            return (
                replace(refused, permanent=answer.status not in GONE) if isinstance(refused, Failed) else refused
            )
        if self._follow.done_path is None:
            is_over = answer.status != HTTPStatus.ACCEPTED
            return self._reading.outcome(answer, self._parts.clock.now()) if is_over else None
        return self._state_of(answer, self._follow.done_path)

    def _state_of(self, answer: Answer, path: str) -> Outcome | None:
        document = document_of(answer)
        state = value_at(path, document)
        self._last = (
            f"; its last state was {str(state)[:100]!r}" if state is not None else f"; there was no {path}"
        )
        if state is None:
            return None
        done, failed = self._follow.done_values, self._follow.failed_values
        if _is_one(state, DONE if done is None else done):
            return self._reading.outcome(answer, self._parts.clock.now())
        if not _is_one(state, FAILED if failed is None else failed):
            return None
        ended = self._reading.outcome(answer, self._parts.clock.now())
        said = ended.error if isinstance(ended, Failed) else f"The run ended as {str(state)[:EXCERPT]!r}."
        spent = ended.spent if isinstance(ended, Failed | Replied) else None
        return Failed(said, spent=spent)

    async def _result(self, first: Answer, over: Outcome) -> Outcome:
        """Returns the outcome with what is stored elsewhere: the result, or why there is none."""
        if self._follow.result_path is None:
            return over
        url = self._address(first, self._follow.result_path)
        if url is None:
            raise ConfigurationError(f"There is no result address at {self._follow.result_path}.")
        if isinstance(over, Replied):
            return self._reading.outcome(await self._look(url), self._parts.clock.now())
        return await self._reason_at(url) or over

    async def _reason_at(self, url: str) -> Failed | None:
        """Returns what the result says about a failure, if it can be read."""
        try:
            answer = await self._look(url)
        except ReveilleError:
            return None
        told = self._reading.outcome(answer, self._parts.clock.now()) if 200 <= answer.status < 300 else None
        return told if isinstance(told, Failed) else None

    def _address(self, answer: Answer, path: str | None) -> str | None:
        """Returns the run's address according to the path or header; None if missing."""
        if path is None:
            said: Any = answer.headers.get(self._header())
        elif path.startswith("$"):
            said = value_at(path, document_of(answer))
        else:
            try:
                return self._caller.beside(fill_path(path, lambda name: self._value(name, answer)))
            except LookupError:
                return None
        try:
            return urljoin(answer.url, said) if isinstance(said, str) and said else None
        except ValueError:
            raise ConfigurationError(f"The response contains an invalid address: {said[:EXCERPT]!r}.") from None

    def _cancel_address(self, answer: Answer) -> str | None:
        if self._follow.cancel_path is None:
            return None
        try:
            found, why = self._address(answer, self._follow.cancel_path), "nothing is there"
        except ReveilleError as error:
            found, why = None, error.message
        if found is None:
            logger.warning("The run cannot be cancelled by {}: {}", self._follow.cancel_path, why)
        return found

    def _value(self, name: str, answer: Answer) -> Any:
        if not name.startswith(f"{ANSWER}."):
            return self._caller.value(name)
        found = document_of(answer)
        for part in name.split(".")[1:]:
            if not isinstance(found, dict):
                raise KeyError(part)
            found = found[part]
        return found

    def _header(self) -> str:
        return self._follow.location if isinstance(self._follow.location, str) else "Location"

    def _pause(self, pause: float, answer: Answer) -> float:
        wait = parse_retry_after(answer.headers.get("retry-after"), self._parts.clock.now())
        return max(self._follow.poll_seconds or pause, wait or 0.0)

    async def _look(self, url: str) -> Answer:
        return await self._request(self._caller.at(url), min(self._timeout, LOOK_SECONDS))

    async def _request(self, call: Call, timeout: float) -> Answer:
        return await self._parts.client.request(
            call.method,
            call.url,
            headers=call.headers,
            content=call.content,
            timeout=timeout,
            max_bytes=self._reading.max_bytes,
            truncate=True,
            lenient=True,
        )

    async def _recall(self, invocation_id: UUID) -> str | None:
        if self._parts.remote_tasks is None:
            return None
        known = await self._parts.remote_tasks.recall(invocation_id)
        return known.task_id if known is not None and known.url == self._caller.address() else None

    async def _remember(self, invocation_id: UUID, url: str, answer: Answer) -> None:
        if self._parts.remote_tasks is None:
            return
        try:
            task = KnownTask(self._caller.address(), url, self._cancel_address(answer))
            await self._parts.remote_tasks.remember(invocation_id, task)
        except ReveilleError as error:
            # A try that cannot be resumed is better than none.
            logger.warning("The run {} could not be stored: {}", url, error.message)


async def _with_time(start: Coroutine[Any, Any, tuple[Answer, str | None]]) -> tuple[Answer, str | None]:
    """Waits for the start of a run, and a moment longer when stopped: a run without an address is nobody's."""
    task = asyncio.ensure_future(start)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=START_SECONDS)
        raise
    finally:
        task.cancel()
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


def _is_miss(answer: Answer) -> bool:
    return answer.status in TEMPORARY or answer.status >= 500


def _is_one(state: Any, values: Sequence[object]) -> bool:
    """Whether a state is one of these, ignoring the case of text."""
    if state is NOTHING:
        return False
    folded = state.casefold() if isinstance(state, str) else state
    return any(matches(folded, each.casefold() if isinstance(each, str) else each) for each in values)
