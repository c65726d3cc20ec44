"""POST /hooks/{token}: where senders deliver. No API key: the token in the address is what they know."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, current_app, request

from api.parts import parts
from scheduler.domain.errors import PayloadTooLarge
from scheduler.domain.ids import token_hash
from scheduler.invocations.webhooks import MAX_BODY, Delivery, Intake

hooks = Blueprint("hooks", __name__)

INTAKE = "reveille.intake"


@hooks.post("/hooks/<token>")
def receive(token: str) -> tuple[dict[str, Any], int]:
    """Take one delivery: 202 once it is durable."""
    body = _read_body()
    receipt = _intake().receive(Delivery(token_hash(token), _headers(), body, _public_url()))
    answer = {"firing_id": receipt.firing_id and str(receipt.firing_id), "duplicate": receipt.duplicate}
    return (answer | {"filtered": True} if receipt.filtered else answer), 202


def _read_body() -> bytes:
    """The raw body, of which never more than one byte too much is read."""
    declared = request.content_length
    if declared is None or declared <= MAX_BODY:
        body = request.stream.read(MAX_BODY + 1)
        if len(body) <= MAX_BODY:
            return body
    raise PayloadTooLarge(f"The body is larger than {MAX_BODY} bytes.")


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _intake() -> Intake:
    """The one intake of this app, made by its first delivery."""
    extensions = current_app.extensions
    if INTAKE not in extensions:
        extensions.setdefault(INTAKE, Intake(parts().db, parts().box))
    return cast("Intake", extensions[INTAKE])


def _public_url() -> str:
    """The address that the sender called, letter for letter, since some providers sign it."""
    environ = request.environ
    base = parts().settings.public_url or f"{request.scheme}://{environ.get('HTTP_HOST', '')}"
    return base + str(environ.get("RAW_URI", request.path))
