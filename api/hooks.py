"""/hooks/{token}: where senders deliver. No API key: the token in the address authorizes the sender."""

from __future__ import annotations

from typing import cast

from flask import Response, current_app, g, jsonify, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.media_type import MediaType
from flask_openapi.models.request_body import RequestBody
from flask_openapi.models.tag import Tag

from api.resources.base import problems
from api.schemas.deliveries import HookOut, HookPath, ReceiptOut
from api.services import services
from scheduler.domain.errors import NotFound
from scheduler.domain.ids import token_hash
from scheduler.domain.webhook_parts import Echo, echo_of_get
from scheduler.intake.webhooks.delivery import too_large
from scheduler.intake.webhooks.handshakes import HookSummary, peek
from scheduler.intake.webhooks.intake import Delivery, Intake
from scheduler.metrics import INTAKE_DURATION
from scheduler.triggers.webhook import USUAL_BODY

hooks = APIBlueprint(
    "hooks",
    __name__,
    abp_tags=[Tag(name="hooks", description="The addresses to which senders deliver for webhook triggers.")],
    operation_id_callback=lambda **about: str(about["name"]),
)

ANYTHING = RequestBody(
    description="Any content type, stored byte for byte; at most 64 KiB, or the trigger's own limit.",
    content={
        kind: MediaType(schema=None) for kind in ("application/json", "text/plain", "application/octet-stream")
    },
    required=False,
)
INTAKE = "reveille.intake"


@hooks.post(
    "/hooks/<token>",
    responses={200: HookOut, 202: ReceiptOut, **problems(401, 404, 413, 429, 503)},
    request_body=ANYTHING,
)
def receive_delivery(path: HookPath) -> Response:
    """Accept one delivery: 202 once it is durable. No key: the token in the address authorizes the sender.

    Checked in this order: size (413), token (404), signature (401), duplicate (202), rate (429), filter. 200
    answers a sender's verification of the address, according to the trigger's `challenge`.
    """
    hashed = token_hash(path.token)
    body = _read_body(hashed)
    with INTAKE_DURATION.labels("webhook").time():
        receipt = _intake().receive(Delivery(hashed, _headers(), body, _public_url(), _query()))
    if receipt.echo is not None:
        return _echoed(receipt.echo)
    shown = {"firing_id": receipt.firing_id and str(receipt.firing_id), "duplicate": receipt.duplicate}
    response = jsonify(shown | {"filtered": True} if receipt.filtered else shown)
    response.status_code = 202
    return response


@hooks.get("/hooks/<token>", responses={200: HookOut, **problems(404, 503)})
def show_hook(path: HookPath) -> Response:
    """Confirm that the webhook exists: 200, or the echo that its `challenge` requires. Nothing fires."""
    found = _peek(token_hash(path.token))
    if found is None or not found.is_open:
        raise NotFound("There is no webhook at this address, or it is disabled.")
    echo = echo_of_get(found.challenge, _query(), _headers())
    return jsonify({"ok": True}) if echo is None else _echoed(echo)


def _echoed(echo: Echo) -> Response:
    return Response(echo.text, content_type=f"{echo.content_type}; charset=utf-8")


def _read_body(hashed: bytes) -> bytes:
    """Reads the raw body, at most one byte more than allowed.

    The trigger's own limit is only looked up for larger bodies than usual.
    """
    declared = request.content_length
    if declared is not None and declared > USUAL_BODY:
        limit = _limit(hashed)
        if declared > limit:
            raise too_large(limit)
        return request.stream.read(declared)
    body: bytes = g.get("begun") or request.stream.read(USUAL_BODY + 1)
    g.begun = body  # the request may be repeated
    if len(body) > USUAL_BODY:
        limit = _limit(hashed)
        if limit > USUAL_BODY:
            body += request.stream.read(limit + 1 - len(body))
        if len(body) > limit:
            raise too_large(limit)
    return body


def _limit(hashed: bytes) -> int:
    found = _peek(hashed)
    return USUAL_BODY if found is None else found.body_limit


def _peek(hashed: bytes) -> HookSummary | None:
    with services().db.begin() as conn:
        return peek(conn, hashed)


def _query() -> str:
    return request.query_string.decode("utf-8", "replace")


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _intake() -> Intake:
    """Returns the intake of this app, created by its first delivery."""
    extensions = current_app.extensions
    if INTAKE not in extensions:
        extensions.setdefault(INTAKE, Intake(services().db, services().box))
    return cast("Intake", extensions[INTAKE])


def _public_url() -> str:
    """Returns the exact address that the sender called, since some providers sign it."""
    environ = request.environ
    base = services().settings.public_url or f"{request.scheme}://{environ.get('HTTP_HOST', '')}"
    return base + str(environ.get("RAW_URI", request.path))
