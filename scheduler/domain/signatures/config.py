"""Defines `config.signature` of a webhook trigger, with its presets by name, and verifies deliveries with it, also for
`reveille verify-signature`.

A new provider is one line here, or one file and one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.field_errors import message_of
from scheduler.domain.shapes import NamesFields
from scheduler.domain.signatures.body_hmac import Algorithm, BodyHmac, Encoding, SharedToken
from scheduler.domain.signatures.model import (
    Rejected,
    Scheme,
    SignedRequest,
    TimeWindow,
    Verdict,
    text_bytes,
    unb64,
)
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks, StandardWebhooksEd25519
from scheduler.domain.signatures.timestamped import Slack, Stripe
from scheduler.domain.signatures.twilio import Twilio

SchemeName = Literal[
    "standard-webhooks",
    "standard-webhooks-ed25519",
    "github",
    "gitlab-token",
    "stripe",
    "slack",
    "shopify",
    "twilio",
    "generic-hmac",
]

GENERIC: SchemeName = "generic-hmac"

PRESETS: Mapping[SchemeName, Scheme] = MappingProxyType(
    {
        "standard-webhooks": StandardWebhooks(),
        "standard-webhooks-ed25519": StandardWebhooksEd25519(),
        "github": BodyHmac("X-Hub-Signature-256", prefix="sha256="),
        "gitlab-token": SharedToken("X-Gitlab-Token"),
        "stripe": Stripe(),
        "slack": Slack(),
        "shopify": BodyHmac("X-Shopify-Hmac-Sha256", encoding="base64"),
        "twilio": Twilio(),
        # The fallback's header and forms come from the trigger's config.
        GENERIC: BodyHmac("", encoding=None, prefix=None, listed=True),
    }
)
DEFAULT_TOLERANCE_SECONDS = 300
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token, RFC 9110 section 5.6.2
_END_OF_YEAR_9999 = 253402300799


class SignatureConfig(NamesFields):
    """How deliveries to a webhook trigger are signed. Two secrets at once allow rotation without downtime.

    `header`, `algorithm` (default sha256), `encoding` (default: hex or base64) and `prefix` (default: none, or
    `sha256=`) apply only to generic-hmac; `tolerance_seconds` (default 300) to schemes that sign a timestamp.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    scheme: SchemeName
    secret: str | list[str] = Field(repr=False)
    header: str | None = Field(default=None, validate_default=True)
    algorithm: Algorithm | None = None
    encoding: Encoding | None = None
    prefix: str | None = Field(default=None, max_length=100)
    tolerance_seconds: int | None = Field(default=None, ge=1, le=3600)

    @field_validator("secret", mode="before")
    @classmethod
    def _secrets_are_keys(cls, value: object, info: ValidationInfo) -> object:
        secrets = [value] if isinstance(value, str) else value
        if not isinstance(secrets, list) or not all(isinstance(secret, str) for secret in secrets):
            raise PydanticCustomError("secret_type", "must be a string, or a list of one or two strings")
        if not 1 <= len(secrets) <= 2:
            raise PydanticCustomError("secret_count", "must be one secret, or a list of two during a rotation")
        for secret in secrets:
            if not secret.strip():
                raise ValueError("must not be blank: anyone can forge signatures with an empty key")
            if "scheme" in info.data:
                PRESETS[info.data["scheme"]].key(secret)
        return value

    @field_validator("header", "algorithm", "encoding", "prefix")
    @classmethod
    def _only_for_generic_hmac(cls, value: str | None, info: ValidationInfo) -> str | None:
        scheme = info.data.get("scheme", GENERIC)
        if value is not None and scheme != GENERIC:
            raise ValueError(f"is only for {GENERIC}; {scheme} has its own")
        return value

    @field_validator("header")
    @classmethod
    def _header_is_named(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("scheme") == GENERIC and value is None:
            raise ValueError(f"is required by {GENERIC}: the header that carries the signature")
        if value is not None and not _HEADER_NAME.fullmatch(value):
            raise ValueError("is not a header name (RFC 9110: letters, digits and hyphens)")
        return value

    @field_validator("algorithm", mode="before")
    @classmethod
    def _usual_spellings(cls, value: object) -> object:
        return value.lower().removeprefix("hmac-").replace("sha-", "sha") if isinstance(value, str) else value

    @field_validator("tolerance_seconds")
    @classmethod
    def _only_with_timestamp(cls, value: int | None, info: ValidationInfo) -> int | None:
        scheme = info.data.get("scheme")
        if value is not None and scheme is not None and not PRESETS[scheme].timestamped:
            raise ValueError(f"needs a scheme that signs a timestamp; {scheme} does not")
        return value


def verify(config: SignatureConfig, request: SignedRequest, now: datetime) -> Verdict:
    """Decides whether the delivery is signed with one of the config's secrets; `now` is aware. Never raises."""
    scheme = _scheme(config)
    secrets = [config.secret] if isinstance(config.secret, str) else config.secret
    window = TimeWindow(now.timestamp(), config.tolerance_seconds or DEFAULT_TOLERANCE_SECONDS)
    try:
        scheme.check(request, [scheme.key(secret) for secret in secrets], window)
    except Rejected as rejected:
        return Verdict(accepted=False, reason=str(rejected))
    return Verdict(accepted=True, reason=f"signed as {config.scheme} with a known secret")


def _scheme(config: SignatureConfig) -> Scheme:
    if config.scheme != GENERIC:
        return PRESETS[config.scheme]
    return BodyHmac(config.header or "", config.algorithm or "sha256", config.encoding, config.prefix, listed=True)


_CONFIG_FIELDS = frozenset(SignatureConfig.model_fields)


class _Line(BaseModel):
    """One recorded delivery. The fields of SignatureConfig are read too; any others are ignored."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    headers: dict[str, str]
    body: str | None = None
    body_b64: str | None = None
    now: Annotated[float, Field(ge=0, le=_END_OF_YEAR_9999, allow_inf_nan=False)] | None = None
    url: str | None = None
    params: dict[str, str | list[str]] | None = None
    replay_of: str | None = None

    def raw_body(self) -> bytes:
        """Returns the body's bytes. Raises ValueError unless exactly one of the two forms is given and readable."""
        if self.body is not None and self.body_b64 is None:
            return text_bytes(self.body)
        if self.body_b64 is not None and self.body is None:
            return unb64(self.body_b64)
        raise ValueError("give one of body and body_b64")


def verify_signature_line(request: dict[str, Any], clock: Clock | None = None) -> dict[str, Any]:
    """Verifies one recorded delivery.

    `request`: `{scheme, secret, headers, body|body_b64, now?, url?, params?, header?, algorithm?, encoding?,
    prefix?, tolerance_seconds?, replay_of?}`; `now` is in Unix seconds, by default the process clock (schemes
    without a timestamp ignore it). `replay_of` names a delivery that this one repeats: a valid signature is then
    still rejected, as intake would answer it as a duplicate and wake nobody. Returns `{verdict: "accept"|"reject",
    reason}`, or `{error}` for a line that cannot be decided. A secret that the scheme cannot use is a reject, as
    no delivery would pass.
    """
    try:
        line = _Line.model_validate(request)
        body = line.raw_body()
        config = SignatureConfig.model_validate({k: v for k, v in request.items() if k in _CONFIG_FIELDS})
    except ValidationError as error:
        return _refused(error)
    except ValueError as error:
        return {"error": f"body: {error}"}
    now = (clock or SystemClock()).now() if line.now is None else datetime.fromtimestamp(line.now, UTC)
    verdict = verify(config, SignedRequest(line.headers, body, line.url, line.params), now)
    if verdict.accepted and line.replay_of is not None:
        verdict = Verdict(accepted=False, reason=f"a duplicate of {line.replay_of}, which was accepted before")
    return {"verdict": "accept" if verdict.accepted else "reject", "reason": verdict.reason}


def _refused(error: ValidationError) -> dict[str, Any]:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "line"
    text = f"{field}: {message_of(first)}"
    unusable_secret = field == "secret" and first["type"] == "value_error"
    return {"verdict": "reject", "reason": text} if unusable_secret else {"error": text}
