"""One look at a poll's URL: the request, and what its answer comes to. Nothing is read from or written to storage."""

from __future__ import annotations

import asyncio
import json
import math
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NoReturn

from loguru import logger

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.domain.json_values import deeper_than
from scheduler.net.client import Answer, GuardedClient
from scheduler.net.retry_after import is_put_off, parse_retry_after
from scheduler.triggers.poll import PollConfig, Seen

LOOK_SECONDS = 10.0
MAX_ANSWER_BYTES = 1024 * 1024
MAX_VALUE_CHARS = 1024 * 1024
"""Of JSON: a path can select parts of the answer several times."""
MAX_DEPTH = 100
MAX_VALIDATOR_CHARS = 1000
TOO_DEEP = f"The answer is nested too deeply; the value may be {MAX_DEPTH} levels deep."
ACCEPT = "application/json, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Found:
    """A value was at the path. `text` is its JSON, with the keys in order."""

    seen: Seen
    text: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """304: the answer is the one whose validators were sent."""


@dataclass(frozen=True, slots=True)
class NothingThere:
    """The answer is good, but has nothing at the path."""

    note: str


@dataclass(frozen=True, slots=True)
class LookFailed:
    """There was no good answer. `retry_after`: seconds that the server asks to be left alone for."""

    note: str
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the server has nothing against the request but its time (429 or 503 with Retry-After)."""


Look = Found | Unchanged | NothingThere | LookFailed


@dataclass(frozen=True, slots=True)
class Validators:
    """What the server said about the answer seen last (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Those that make a request conditional on the answer having changed (RFC 9110 section 13.1)."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value is not None}


class Looker:
    """Looks, any number at once on one event loop. Answers are read in `threads`: a path may take a second."""

    def __init__(self, client: GuardedClient, clock: Clock, threads: Executor) -> None:
        self._client = client
        self._clock = clock
        self._threads = threads

    async def look(self, config: PollConfig, validators: Validators = Validators()) -> Look:
        """Request once, without following redirects, whole within LOOK_SECONDS. Never raises."""
        conditions = validators.headers() if config.method == "GET" else {}
        try:
            answer = await self._client.request(
                config.method,
                config.url,
                headers=_headers(config) | conditions,
                content=config.content(),
                timeout=LOOK_SECONDS,
                max_bytes=MAX_ANSWER_BYTES,
            )
            if answer.status == 304 and conditions:
                return Unchanged()
            if not 200 <= answer.status < 300:
                return self._refused(answer)
            return await asyncio.get_running_loop().run_in_executor(self._threads, read_answer, config, answer)
        except ReveilleError as error:
            return LookFailed(error.message)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with this poll is wrong with this poll only
            logger.opt(exception=error).error("A look at a poll broke")
            return LookFailed(f"The look broke: {type(error).__name__}.")

    def _refused(self, answer: Answer) -> LookFailed:
        note = f"The server answered HTTP {answer.status}."
        if 300 <= answer.status < 400:
            note = f"The server answered HTTP {answer.status}; redirects are not followed: give the final URL."
        wait = parse_retry_after(answer.headers.get("retry-after"), self._clock.now())
        return LookFailed(note, wait, is_put_off(answer.status, wait))


def read_answer(config: PollConfig, answer: Answer) -> Look:
    """The value at the config's path in the body of a 2xx."""
    if not answer.body.strip():
        return LookFailed("The answer is empty.")
    try:
        document = json.loads(answer.body, parse_constant=_refuse, parse_float=_finite)
        seen = config.select(document)
        text = "" if seen is None else json.dumps(seen.value, sort_keys=True)
    except RecursionError:
        return LookFailed(TOO_DEEP)
    except ValueError as error:  # a codec's error too
        return LookFailed(f"The answer is not JSON: {error}.")
    if seen is None:
        return NothingThere(f"Nothing in the answer is at {config.json_path}.")
    if deeper_than(MAX_DEPTH, seen.value):
        return LookFailed(TOO_DEEP)
    if len(text) > MAX_VALUE_CHARS:
        return LookFailed("The JSON path selects more than 1 MiB of the answer; make it more precise.")
    return Found(seen, text, _validator(answer, "etag"), _validator(answer, "last-modified"))


def _headers(config: PollConfig) -> dict[str, str]:
    """The config's own, and what is asked for by default, whose names ignore case."""
    own = {name.lower() for name in config.headers}
    defaults = {"Accept": ACCEPT}
    if isinstance(config.body, dict | list):
        defaults["Content-Type"] = "application/json"
    return {name: value for name, value in defaults.items() if name.lower() not in own} | config.headers


def _validator(answer: Answer, name: str) -> str | None:
    """A validator that can be sent back as it is."""
    value = answer.headers.get(name, "").strip()
    fits = 0 < len(value) <= MAX_VALIDATOR_CHARS and value.isascii() and value.isprintable()
    return value if fits else None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number
