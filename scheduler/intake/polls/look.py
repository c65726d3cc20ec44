"""One look at a poll's URL: the request, and what its answer comes to. Nothing is read from or written to storage."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from loguru import logger

from scheduler.domain.charsets import charset_of
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.domain.json_values import deeper_than, read_json, write_json
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
STRONG_AFTER = timedelta(seconds=1)
"""A `Last-Modified` no older than this may belong to two contents of one second (RFC 9110 section 8.8.2.2)."""
ACCEPT = "application/json, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Found:
    """The answer is good. `text` is the JSON of what is at the path, with the keys in order; empty for nothing."""

    seen: Seen
    text: str
    etag: str | None = None
    last_modified: str | None = None
    note: str | None = None
    """What there is to say of it, though all is well."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """304: the answer is the one whose validators were sent."""


@dataclass(frozen=True, slots=True)
class LookFailed:
    """There was no good answer. `retry_after`: seconds that the server asks to be left alone for."""

    note: str
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the server has nothing against the request but its time (429 or 503 with Retry-After)."""


Look = Found | Unchanged | LookFailed


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
    """What is at the config's path in the body of a 2xx, read in its declared charset."""
    if not answer.body.strip():
        return LookFailed("The answer is empty.")
    try:
        document, doubled = read_json(_text(answer))
        seen = config.select(document)
        text = write_json(seen.value) if seen.is_there else ""
    except RecursionError:
        return LookFailed(TOO_DEEP)
    except ValueError as error:  # a codec's error too
        return LookFailed(f"The answer is not JSON: {error}.")
    if deeper_than(MAX_DEPTH, seen.value):
        return LookFailed(TOO_DEEP)
    if len(text) > MAX_VALUE_CHARS:
        return LookFailed("The JSON path selects more than 1 MiB of the answer; make it more precise.")
    return Found(seen, text, _validator(answer, "etag"), _last_modified(answer), _note(config, seen, doubled))


def _text(answer: Answer) -> str:
    """The body in the charset of its byte order mark, or in that which was declared, else UTF-8 (RFC 8259)."""
    seen = json.detect_encoding(answer.body)
    declared = charset_of(answer.headers.get("content-type")) if seen == "utf-8" else None
    if declared is not None:
        try:
            return answer.body.decode(declared)
        except UnicodeError:  # many declare one and send UTF-8
            pass
    return answer.body.decode(seen, "surrogatepass")


def _note(config: PollConfig, seen: Seen, doubled: str | None) -> str | None:
    if not seen.is_there:
        return f"Nothing in the answer is at {config.json_path}."
    return (
        None
        if doubled is None
        else f"The answer has the key {doubled!r} twice in one object; the last one counts."
    )


def _last_modified(answer: Answer) -> str | None:
    """The `Last-Modified` that tells two contents apart: one that was more than a second old when it was sent."""
    text = _validator(answer, "last-modified")
    try:
        modified, sent = (_moment(each) for each in (text or "", answer.headers.get("date", "")))
        return text if sent - modified > STRONG_AFTER else None
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


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
