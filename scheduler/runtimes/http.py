"""The `http` runtime: one POST to the agent's URL, signed according to Standard Webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints

from scheduler.domain.charsets import decode
from scheduler.domain.errors import ConfigurationError, InvalidField, ReveilleError
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.domain.signatures import new_standard_secret, sign_standard_webhooks
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks
from scheduler.net.client import Answer
from scheduler.net.errors import TimedOut
from scheduler.net.request_checks import check_address
from scheduler.net.retry_after import is_put_off, parse_retry_after
from scheduler.runtimes.base import MAX_REPLY_BYTES, Operator, Option, RuntimeConfig, RuntimeParts
from scheduler.runtimes.replies import read_reply

TEMPORARY = frozenset({408, 425, 429})
"""The 4xx statuses that mean "later": Request Timeout, Too Early, Too Many Requests."""
EXCERPT = 500
"""How many characters of an error response are kept."""


class HttpRuntime(RuntimeConfig):
    """Woken by a POST to `url`, signed with `secret` (Standard Webhooks; generated if omitted, and shown once)."""

    label: ClassVar = "Web server"
    summary: ClassVar = "your own server, called with a signed POST"
    icon: ClassVar = "M-5-4H5V4H-5ZM-5-1H5"
    docs: ClassVar = "docs/runtimes.md#http"
    secrets: ClassVar = ("secret",)
    shown_once: ClassVar = ("secret",)
    main_fields: ClassVar = ("url", "secret")
    options: ClassVar = (
        Option("--agent-url", "url", "where it is called.", metavar="URL"),
        Option(
            "--secret",
            "secret",
            "signs the calls, or goes with them.",
            "secret",
            "TEXT|@FILE",
            implies=False,
        ),
    )

    kind: Literal["http"]
    url: str = Field(
        max_length=8192,
        title="URL",
        description="Every wake is sent here as a POST.",
        examples=["https://agent.example.org/wake"],
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        repr=False,
        title="Signing secret",
        description="Signs every call (Standard Webhooks). Left out, one is made and shown once.",
    )
    accepted: Literal["done", "awaits"] | None = Field(
        None,
        title="Answer 202",
        description="What its 202 means: the work is done, or a report will come. Null: a report may come; "
        "an agent that never sent one is taken for done at its deadline.",
    )

    def check(self, operator: Operator) -> None:
        """Checks that the address may be requested and the secret can sign."""
        check_address(self.url, "runtime.url", operator.allow_private)
        try:
            StandardWebhooks().key(self.secret or "")
        except ValueError as error:
            raise InvalidField(f"runtime.secret {error}.", field="runtime.secret") from None

    def completed(self) -> Self:
        """Adds a generated secret if there is none."""
        return self if self.secret else self.model_copy(update={"secret": new_standard_secret()})

    @classmethod
    def pack(cls, secrets: Mapping[str, Any]) -> str:
        """Returns the secret itself, as it has always been stored."""
        return str(secrets["secret"])

    @classmethod
    def unpack(cls, text: str) -> dict[str, Any]:
        """Returns the secret by its name."""
        return {"secret": text}

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one call."""
        return HttpRun(spec, parts)


class HttpRun:
    """Posts the request; the response is the reply, or 202 the promise of one."""

    def __init__(self, spec: RuntimeSpec, parts: RuntimeParts) -> None:
        url = spec.config.get("url")
        if not isinstance(url, str) or not spec.secret:
            raise ConfigurationError("The agent's http runtime lacks its url or its secret; set them again.")
        self._url = url
        self._secret = spec.secret
        self._timeout = spec.timeout_seconds
        self._is_done_when_accepted = spec.config.get("accepted") == "done"
        self._parts = parts

    async def run(self, request: RunRequest) -> Outcome:
        """Posts and reads the response within the agent's timeout. `webhook-id` is the invocation's id."""
        body = request.to_json()
        try:
            answer = await self._parts.client.request(
                "POST",
                self._url,
                headers={"Content-Type": "application/json", **self._signature(request, body)},
                content=body,
                timeout=self._timeout,
                max_bytes=MAX_REPLY_BYTES,
                truncate=True,
                lenient=True,
            )
        except ReveilleError as error:
            reason = "timeout" if isinstance(error, TimedOut) else "failed"
            return Failed(error.message, permanent=error.permanent, reason=reason)
        if answer.status == HTTPStatus.ACCEPTED and not self._is_done_when_accepted:
            return Accepted()
        return _outcome(answer, self._parts.clock.now())

    def _signature(self, request: RunRequest, body: bytes) -> Mapping[str, str]:
        timestamp = int(self._parts.clock.now().timestamp())
        try:
            return sign_standard_webhooks(self._secret, str(request.invocation_id), timestamp, body)
        except ValueError:
            raise ConfigurationError("The agent's secret cannot sign: it must be whsec_ and base64.") from None


def _outcome(answer: Answer, now: datetime) -> Outcome:
    """Converts a status: RFC 9110, with 408, 425, 429 and 5xx worth a retry."""
    if 200 <= answer.status < 300:
        return _replied(answer)
    said = decode(answer.body[: 4 * EXCERPT], answer.headers.get("content-type"), is_cut=True) or ""
    text = " ".join(said.split())[:EXCERPT]
    error = (
        f"The agent answered HTTP {answer.status}: {text}" if text else f"The agent answered HTTP {answer.status}."
    )
    if answer.status in TEMPORARY or answer.status >= 500:
        wait = parse_retry_after(answer.headers.get("retry-after"), now)
        return Failed(error, retry_after=wait, was_put_off=is_put_off(answer.status, wait))
    return Failed(error, permanent=True)


def _replied(answer: Answer) -> Replied:
    """Returns the `reply` and `acks` of a JSON object, else the body as text."""
    text = decode(answer.body, answer.headers.get("content-type"), is_cut=answer.truncated)
    if text is None:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()[:100] or "an unknown type"
        return Replied(f"(not text: {len(answer.body)} bytes of {kind})", answer.truncated)
    return read_reply(text, is_cut=answer.truncated)
