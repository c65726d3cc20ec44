"""The `http` runtime: a request to the agent's URL, signed according to Standard Webhooks, and its response."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from scheduler.domain.errors import ConfigurationError, InvalidField, ReveilleError
from scheduler.domain.run import Accepted, Failed, Outcome, RunRequest, Runtime, RuntimeSpec
from scheduler.domain.signatures import new_standard_secret
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks
from scheduler.domain.templates import PLAIN, WAKE_VALUES, check_template, names_in
from scheduler.net.client import Answer
from scheduler.net.errors import AnswerBroken, TimedOut
from scheduler.net.headers import check_address, check_headers
from scheduler.runtimes.base import Operator, RuntimeParts
from scheduler.runtimes.http_call import TOKEN, Call, Caller, Reading, joined
from scheduler.runtimes.http_follow import ANSWER, Following
from scheduler.runtimes.http_presets import merged, no_preset, preset_of, presets
from scheduler.runtimes.http_settings import Follow, HttpSettings

_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,49}")
OVER = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE)
"""The answers to a cancellation that say that there is no such run, or that it is over."""
LACKING = "The agent's http runtime lacks its url or its secret; set them again."


class HttpRuntime(HttpSettings):
    """Woken by a request to `url`, signed with `secret` (Standard Webhooks; generated if omitted, and shown once).

    Without `body`, the whole request is sent. A `preset` fills in omitted settings.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _names_an_unknown_preset(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Tells of an unknown preset instead of the fields that are missing without it."""
        try:
            return handler(value)
        except ValidationError as error:
            preset = value.get("preset") if isinstance(value, Mapping) else None
            has_url = all(each["loc"] != ("url",) for each in error.errors(include_url=False))
            if has_url or not isinstance(preset, str) or preset in presets():
                raise
            said = PydanticCustomError("unknown_preset", "{said}", {"said": no_preset(preset[:100])})
            line: InitErrorDetails = {"type": said, "loc": ("preset",), "input": preset}
            raise ValidationError.from_exception_data(error.title, [line], hide_input=True) from None

    @classmethod
    def presets(cls) -> Mapping[str, str]:
        """Returns the presets in the folder `presets`, and those of installed packages."""
        return {name: each.label for name, each in presets().items()}

    @classmethod
    def described_presets(cls) -> list[Any]:
        """Describes them."""
        return [each.described(name) for name, each in presets().items()]

    @classmethod
    def suggested(cls, preset: str) -> dict[str, Any]:
        """Returns its address, its parameters with their defaults, and an empty token."""
        found = presets().get(preset)
        if found is None:
            return {}
        parameters = {name: each.default or "" for name, each in found.parameters.items()}
        return {"preset": preset, "url": found.url, "token": None, "parameters": parameters}

    def check(self, operator: Operator) -> None:
        """Checks the preset's requirements, the templates, the address, and that the secret can sign."""
        if self.preset is not None:
            preset_of(self.preset).check(self)
        whole = merged(self)
        _check_parameters(whole.parameters or {})
        _check_templates(whole)
        _check_sense(whole)
        path = "" if whole.path is None else re.sub(r"\{\{.*?\}\}", "x", whole.path)
        check_address(joined(whole.url, path) if path else whole.url, "runtime.url", operator.allow_private)
        if whole.sign is False:
            return
        try:
            StandardWebhooks().key(self.secret or "")
        except ValueError as error:
            raise InvalidField(f"runtime.secret {error}.", field="runtime.secret") from None

    def completed(self) -> Self:
        """Adds a generated secret if there is none and calls are signed."""
        if self.secret or merged(self).sign is False:
            return self
        return self.model_copy(update={"secret": new_standard_secret()})

    @classmethod
    def pack(cls, secrets: Mapping[str, Any]) -> str:
        """Returns the secrets as JSON, but a signing secret alone unchanged, as it has always been stored."""
        return str(secrets["secret"]) if set(secrets) == {"secret"} else json.dumps(dict(secrets))

    @classmethod
    def unpack(cls, text: str) -> dict[str, Any]:
        """Returns the secrets by name."""
        return dict(json.loads(text)) if text.startswith("{") else {"secret": text}

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one call."""
        secrets = {} if spec.secret is None else cls.unpack(spec.secret)
        try:
            settings = merged(cls.model_validate({"kind": "http", **spec.config, **secrets}, strict=False))
        except ValidationError as error:
            if "url" not in spec.config:
                raise ConfigurationError(LACKING) from None
            wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}))
            raise ConfigurationError(
                f"The agent's http runtime cannot be run as it is stored ({wrong}); set it again."
            ) from None
        if settings.sign is not False and not settings.secret:
            raise ConfigurationError(LACKING)
        return HttpRun(settings, parts, spec.timeout_seconds)


class HttpRun:
    """Sends the request. The response is the reply, or 202 the promise of one, or the start of a run to follow."""

    def __init__(self, settings: HttpSettings, parts: RuntimeParts, timeout_seconds: float) -> None:
        self._settings = settings
        self._parts = parts
        self._timeout = timeout_seconds
        self._reading = Reading(settings.reply_path, settings.error_path, settings.usage_path)

    async def run(self, request: RunRequest) -> Outcome:
        """Sends the request and reads the response within the agent's timeout.

        `webhook-id` is the invocation's id.
        """
        try:
            caller = Caller(self._settings, request, self._parts.clock)
            if self._settings.follow is not None:
                following = Following(self._settings.follow, self._reading, caller, self._parts, self._timeout)
                return await following.run(request.invocation_id)
            return await self._call(caller)
        except ReveilleError as error:
            reason = "timeout" if isinstance(error, TimedOut) else "failed"
            return Failed(error.message, permanent=error.permanent, reason=reason)

    async def cancel(self, request: RunRequest, address: str) -> None:
        """Cancels a run that was followed. Raises ReveilleError; one that is over or gone counts as cancelled."""
        caller = Caller(self._settings, request, self._parts.clock)
        method = (self._settings.follow and self._settings.follow.cancel_method) or "POST"
        answer = await self._send(caller.at(address, method))
        if answer.status < 300 or answer.status in OVER:
            return
        ended = self._reading.outcome(answer, self._parts.clock.now())
        if isinstance(ended, Failed):
            raise ConfigurationError(ended.error) if ended.permanent else AnswerBroken(ended.error)

    async def _call(self, caller: Caller) -> Outcome:
        answer = await self._send(caller.wake())
        if answer.status == HTTPStatus.ACCEPTED and self._settings.accepted != "done":
            return Accepted()
        return self._reading.outcome(answer, self._parts.clock.now())

    async def _send(self, call: Call) -> Answer:
        return await self._parts.client.request(
            call.method,
            call.url,
            headers=call.headers,
            content=call.content,
            timeout=self._timeout,
            max_bytes=self._reading.max_bytes,
            truncate=True,
            lenient=True,
        )


def _check_parameters(parameters: Mapping[str, str]) -> None:
    for name in parameters:
        if not _PARAMETER.fullmatch(name) or name in WAKE_VALUES or name in (TOKEN, ANSWER):
            raise InvalidField(
                f"{name!r} cannot be the name of a parameter: it is lower-case letters, digits and underscores, and "
                f"none of {', '.join([*WAKE_VALUES, TOKEN, ANSWER])}.",
                field=f"runtime.parameters.{name}",
            )


def _check_templates(whole: HttpSettings) -> None:
    own = tuple(whole.parameters or {})
    known = (*WAKE_VALUES, *own)
    if whole.body is not None:
        check_template(whole.body, known, "runtime.body")
    if whole.path is not None:
        check_template(whole.path, known, "runtime.path")
    for name, value in (whole.headers or {}).items():
        check_template(value, (*PLAIN, TOKEN, *own), "runtime.headers")
        for parameter in names_in(value) & set(own):
            check_headers({name: (whole.parameters or {})[parameter]})
    follow = whole.follow
    if follow is not None:
        _check_addresses(follow, known)


def _check_addresses(follow: Follow, known: Sequence[str]) -> None:
    for field in ("poll_path", "result_path", "cancel_path"):
        template = getattr(follow, field)
        if template is None or not template.startswith("/"):
            continue
        of_answer = [name for name in names_in(template) if name.startswith(f"{ANSWER}.")]
        check_template(template, (*known, *of_answer, f"{ANSWER}.…"), f"runtime.async.{field}")


def _check_sense(whole: HttpSettings) -> None:
    """Raises InvalidField for settings that contradict each other."""
    follow = whole.follow
    if whole.method == "GET" and whole.body is not None:
        raise InvalidField("A GET has no body; leave it out, or set another method.", field="runtime.body")
    if follow is None:
        return
    if whole.accepted is not None:
        raise InvalidField(
            "accepted and async both define what a 202 means; omit one of them.", field="runtime.accepted"
        )
    if follow.location not in (None, False) and follow.poll_path is not None:
        raise InvalidField(
            "location and poll_path both say where the run is; omit one of them.",
            field="runtime.async.location",
        )
    if follow.cancel_method is not None and follow.cancel_path is None:
        raise InvalidField("cancel_method requires cancel_path; give that too.", field="runtime.async.cancel_path")
    if follow.done_path is None and (follow.done_values or follow.failed_values):
        raise InvalidField(
            "done_values and failed_values require done_path; give that too.",
            field="runtime.async.done_path",
        )
