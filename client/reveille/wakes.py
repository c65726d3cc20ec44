"""The agent's side: calls a function once for each wake, during the request or after it."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx

from reveille.errors import SignatureError
from reveille.signature import check_secret, verify

Call = dict[str, Any]
"""Reveille's request: `invocation_id`, `attempt`, `context`, `firings`, `agent`, `complete_url`, `complete_token`."""
Answer = tuple[int, dict[str, Any]]
"""A status and a JSON body."""
REPORT_PAUSES = (0.0, 1.0, 4.0, 15.0, 60.0)
"""The seconds before each attempt to report the end of long work."""
log = logging.getLogger("reveille")


@dataclass
class Run:
    """One invocation: its latest call, whose token is valid, and its reply once there is one."""

    call: Call
    reply: Future[Any] = field(default_factory=Future)


class Runs:
    """The current and recent invocations of this process."""

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._lock = Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def take(self, call: Call) -> tuple[Run, bool]:
        """Returns the run of a call, and whether to start it: a retry of a known invocation joins its run."""
        identity = str(call["invocation_id"])
        with self._lock:
            run = self._runs.get(identity)
            if run is not None:
                run.call = call
                return run, False
            run = self._runs[identity] = Run(call)
            for known in [key for key, each in self._runs.items() if each.reply.done()][: -self._remember or None]:
                del self._runs[known]
            return run, True

    def forget(self, run: Run) -> None:
        """Lets a retry start again after this run failed."""
        with self._lock:
            self._runs.pop(str(run.call["invocation_id"]), None)


class Wakes:
    """Answers wakes by calling `function(call)`, which returns text, JSON, or None.

    Each call is verified with `secret` (or one of several); a retry of an invocation that is running or done is
    not run again. With `is_long` the request is answered with 202 at once, and the reply is reported later.
    `remember` is the number of finished invocations to remember.
    """

    def __init__(
        self,
        function: Callable[[Call], Any],
        secret: str | Sequence[str],
        *,
        is_long: bool = False,
        remember: int = 1000,
        threads: int = 16,
    ) -> None:
        check_secret(secret)
        if inspect.iscoroutinefunction(function):
            raise TypeError("Wakes needs a plain function; AsyncWakes, or reveille.fastapi, takes an `async def`.")
        self._function = function
        self._secret = secret
        self._is_long = is_long
        self._runs = Runs(remember)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reveille-wake")

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Returns the status and JSON for one request. Never raises."""
        try:
            call = verify(headers, body, self._secret)
        except SignatureError as error:
            return 401, {"error": str(error)}
        if "invocation_id" not in call:
            return 400, {"error": "The body has no invocation_id: the agent's runtime has a body of its own."}
        run, is_new = self._runs.take(call)
        if is_new:
            self._threads.submit(self._run, run)
        if self._is_long and not run.reply.done():
            return 202, {}
        try:
            return 200, {"reply": run.reply.result()}
        except BaseException as error:  # noqa: BLE001  # whatever it is, Reveille is to hear of it
            return 500, {"error": describe(error)}

    def _run(self, run: Run) -> None:
        try:
            reply = check_json(self._function(run.call))
        except BaseException as error:  # also an exit: else the retries would wait for it forever
            log.exception("A wake failed")
            self._runs.forget(run)
            run.reply.set_exception(error)
            self._report(run, {"error": describe(error)})
        else:
            run.reply.set_result(reply)
            self._report(run, {"reply": reply})

    def _report(self, run: Run, end: dict[str, Any]) -> None:
        if not self._is_long:
            return
        for pause in REPORT_PAUSES:
            time.sleep(pause)
            try:
                if is_settled(httpx.post(**report_of(run.call, end))):
                    return
            except httpx.HTTPError as error:
                log.warning("The end of %s was not reported: %r", run.call["invocation_id"], error)


class AsyncWakes:
    """Answers wakes by a coroutine function, as `Wakes` does by a function."""

    def __init__(
        self,
        function: Callable[[Call], Awaitable[Any]],
        secret: str | Sequence[str],
        *,
        is_long: bool = False,
        remember: int = 1000,
    ) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError("AsyncWakes needs an `async def` function; Wakes takes a plain one.")
        check_secret(secret)
        self._function = function
        self._secret = secret
        self._is_long = is_long
        self._runs = Runs(remember)
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Returns the status and JSON for one request. Never raises."""
        try:
            call = verify(headers, body, self._secret)
        except SignatureError as error:
            return 401, {"error": str(error)}
        if "invocation_id" not in call:
            return 400, {"error": "The body has no invocation_id: the agent's runtime has a body of its own."}
        run, is_new = self._runs.take(call)
        if is_new:
            task = asyncio.create_task(self._run(run))
            self._tasks.add(task)  # otherwise the loop would only hold a weak reference
            task.add_done_callback(self._tasks.discard)
        if self._is_long and not run.reply.done():
            return 202, {}
        try:
            return 200, {"reply": await asyncio.shield(asyncio.wrap_future(run.reply))}
        except Exception as error:  # noqa: BLE001  # whatever it is, Reveille is to hear of it
            return 500, {"error": describe(error)}

    async def _run(self, run: Run) -> None:
        try:
            reply = check_json(await self._function(run.call))
        except BaseException as error:  # also a cancellation: else the retries would wait for it forever
            log.exception("A wake failed")
            self._runs.forget(run)
            run.reply.set_exception(RuntimeError("it was cancelled") if is_cancelled(error) else error)
            if not isinstance(error, Exception):
                raise
            await self._report(run, {"error": describe(error)})
        else:
            run.reply.set_result(reply)
            await self._report(run, {"reply": reply})

    async def _report(self, run: Run, end: dict[str, Any]) -> None:
        if not self._is_long:
            return
        async with httpx.AsyncClient() as client:
            for pause in REPORT_PAUSES:
                await asyncio.sleep(pause)
                try:
                    if is_settled(await client.post(**report_of(run.call, end))):
                        return
                except httpx.HTTPError as error:
                    log.warning("The end of %s was not reported: %r", run.call["invocation_id"], error)


def report_of(call: Call, end: dict[str, Any]) -> dict[str, Any]:
    """Builds the request that reports the end of a run, with the token of the latest attempt."""
    reply = end.get("reply")
    if reply is not None and not isinstance(reply, str):
        end = {"reply": httpx.Response(200, json=reply).text}
    return {
        "url": call["complete_url"],
        "headers": {"Authorization": f"Bearer {call['complete_token']}"},
        "json": {"attempt": call["attempt"], **end},
        "timeout": 30.0,
    }


def check_json(reply: Any) -> Any:
    """Returns the reply. Raises TypeError or ValueError for one that JSON cannot express."""
    if not isinstance(reply, str):
        json.dumps(reply)
    return reply


def is_cancelled(error: BaseException) -> bool:
    """Whether a task was cancelled; a future that holds this error would cancel whoever waits for it."""
    return isinstance(error, asyncio.CancelledError)


def is_settled(response: httpx.Response) -> bool:
    """Whether Reveille accepted a report, or never will because the run was given up or already reported."""
    if response.status_code >= 300:
        where = response.headers.get("location", response.text[:500])
        log.warning("Reveille answered a report by %s: %s", response.status_code, where)
    return response.status_code < 500 and response.status_code not in (408, 429)


def describe(error: BaseException) -> str:
    """Describes an error in one line."""
    return f"{type(error).__name__}: {error}"[:2000]
