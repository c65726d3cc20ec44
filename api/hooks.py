"""POST /hooks/{token}: where senders deliver. No API key: the token in the address is what they know."""

from __future__ import annotations

from typing import Any, cast

from flask import current_app, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.media_type import MediaType
from flask_openapi.models.request_body import RequestBody
from flask_openapi.models.tag import Tag

from api.resource import problems
from api.schemas.hooks import HookPath, ReceiptOut
from api.services import services
from scheduler.domain.errors import PayloadTooLarge
from scheduler.domain.ids import token_hash
from scheduler.intake.webhooks.deliveries import MAX_BODY, Delivery, Intake

hooks = APIBlueprint(
    "hooks",
    __name__,
    abp_tags=[Tag(name="hooks", description="Where senders deliver to webhook triggers.")],
    operation_id_callback=lambda **_: "receive_delivery",
)

ANYTHING = RequestBody(
    description="Kept byte for byte, of whatever type it is; at most 64 KiB.",
    content={
        kind: MediaType(schema=None) for kind in ("application/json", "text/plain", "application/octet-stream")
    },
    required=False,
)
INTAKE = "reveille.intake"


@hooks.post(
    "/hooks/<token>",
    responses={202: ReceiptOut, **problems(401, 404, 413, 429, 503)},
    request_body=ANYTHING,
)
def receive(path: HookPath) -> tuple[dict[str, Any], int]:
    """Take one delivery: 202 once it is durable. No key: the token in the address is what the sender knows.

    Asked in this order: size (413), token (404), signature (401), whether it came before (202), limit (429).
    """
    body = _read_body()
    receipt = _intake().receive(Delivery(token_hash(path.token), _headers(), body, _public_url()))
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
        extensions.setdefault(INTAKE, Intake(services().db, services().box))
    return cast("Intake", extensions[INTAKE])


def _public_url() -> str:
    """The address that the sender called, letter for letter, since some providers sign it."""
    environ = request.environ
    base = services().settings.public_url or f"{request.scheme}://{environ.get('HTTP_HOST', '')}"
    return base + str(environ.get("RAW_URI", request.path))
