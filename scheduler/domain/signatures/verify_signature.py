"""Implements `reveille verify-signature`: one JSON object in, one out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scheduler.domain.clock import Clock, SystemClock
from scheduler.domain.signatures.config import SignatureConfig, verify
from scheduler.domain.signatures.model import SignedRequest, Verdict, text_bytes, unb64

_CONFIG_FIELDS = frozenset(SignatureConfig.model_fields)
_END_OF_YEAR_9999 = 253402300799


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
    first: Mapping[str, Any] = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "line"
    text = f"{field}: {first['msg'].removeprefix('Value error, ')}"
    unusable_secret = field == "secret" and first["type"] == "value_error"
    return {"verdict": "reject", "reason": text} if unusable_secret else {"error": text}
