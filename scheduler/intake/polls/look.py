"""Checks a poll's URL once: makes the request and reads its response. Does not use the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor

from loguru import logger

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.intake.polls.readers import READERS
from scheduler.intake.polls.readers.base import Reader
from scheduler.intake.polls.results import Look, LookFailed, Unchanged, Validators
from scheduler.net.client import Answer, GuardedClient
from scheduler.net.errors import NetworkError, is_put_off, parse_retry_after
from scheduler.triggers.poll import PollConfig

READER_THREADS = 2
UNCONDITIONAL = Validators()
LOOK_SECONDS = 10.0


class PollChecker:
    """Checks any number of polls at once on one event loop.

    Reads responses in `threads`, or in separate processes.
    """

    def __init__(self, client: GuardedClient, clock: Clock, threads: Executor) -> None:
        self._client = client
        self._clock = clock
        self._threads = threads
        self.reader_processes = ReaderProcesses()
        self._reader_threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="polls-readers")

    def close(self) -> None:
        """Ends the separate processes."""
        self._reader_threads.shutdown(wait=False, cancel_futures=True)
        self.reader_processes.close()

    async def look(
        self, config: PollConfig, validators: Validators = UNCONDITIONAL, baseline: str | None = None
    ) -> Look:
        """Makes one request within LOOK_SECONDS, without following redirects. Never raises.

        `baseline`: the state from the last check, None at the first.
        """
        try:
            return await self._look(config, validators, baseline)
        except ReveilleError as error:
            return LookFailed(error.message)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with this poll is wrong with this poll only
            logger.opt(exception=error).error("The check of a poll failed unexpectedly")
            return LookFailed(f"The check failed: {type(error).__name__}.")

    async def _look(self, config: PollConfig, validators: Validators, baseline: str | None) -> Look:
        reader = READERS[config.read]
        conditions = validators.headers() if config.method == "GET" and not reader.takes_all else {}
        answer = await self._answer(config, reader, conditions)
        if isinstance(answer, Answer) and not reader.takes_all:
            if answer.status == 304 and conditions:
                return Unchanged()
            if not 200 <= answer.status < 300:
                return self._refused(answer)
            if not answer.body.strip():
                return LookFailed("The response is empty.")
        threads = self._reader_threads if reader.in_own_process else self._threads
        return await asyncio.get_running_loop().run_in_executor(
            threads, reader.read, config, answer, baseline, self.reader_processes
        )

    async def _answer(
        self, config: PollConfig, reader: Reader, conditions: Mapping[str, str]
    ) -> Answer | NetworkError:
        try:
            return await self._client.request(
                config.method,
                config.url,
                headers={**_headers(config, reader), **conditions},
                content=config.content(),
                timeout=LOOK_SECONDS,
                max_bytes=reader.max_bytes,
                truncate=reader.takes_all,
                lenient=reader.takes_all,
            )
        except NetworkError as error:
            if not reader.takes_all:
                raise
            return error

    def _refused(self, answer: Answer) -> LookFailed:
        note = f"The server answered HTTP {answer.status}."
        if 300 <= answer.status < 400:
            note = f"The server answered HTTP {answer.status}; redirects are not followed: give the final URL."
        wait = parse_retry_after(answer.headers.get("retry-after"), self._clock.now())
        return LookFailed(note, wait, is_put_off(answer.status, wait))


def _headers(config: PollConfig, reader: Reader) -> dict[str, str]:
    """Merges the config's headers with the defaults, ignoring the case of names."""
    own = {name.lower() for name in config.headers}
    defaults = {"Accept": reader.accept}
    if isinstance(config.body, dict | list):
        defaults["Content-Type"] = "application/json"
    return {name: value for name, value in defaults.items() if name.lower() not in own} | config.headers
