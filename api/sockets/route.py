"""GET /ws: a WebSocket (RFC 6455) that pushes notifications.

The key is in the Authorization header, in a subprotocol (`reveille, key.KEY`: what a browser can send), or in the
first message. It is never in the address, which appears in logs. Cookies are ignored, so that no other site's page
can open a socket on somebody's behalf.
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from flask import Blueprint, Flask, Response, current_app, request

from api.auth import TENANT_HEADER, bearer
from api.server.responses import SocketTaken, take_socket
from api.services import Services
from api.sockets.connection import accepting
from api.sockets.hub import Hub
from api.sockets.subscription import read_filter
from scheduler.domain.errors import ReveilleError, Unauthorized

EXTENSION = "reveille_sockets"
SUBPROTOCOL = "reveille"
KEY_PREFIX = "key."
VERSION = "13"

sockets = Blueprint("sockets", __name__)


class UpgradeRequired(ReveilleError):
    """Only WebSocket connections are accepted here."""

    status = HTTPStatus.UPGRADE_REQUIRED
    problem = "upgrade-required"


class NotServed(ReveilleError):
    """The server cannot keep a WebSocket."""

    status = HTTPStatus.NOT_IMPLEMENTED
    problem = "not-served"


def register(app: Flask, services: Services) -> None:
    """Registers the route."""
    app.extensions[EXTENSION] = Hub(services.live, services.db, services.clock)
    app.register_blueprint(sockets)


# Werkzeug routes handshakes and other requests separately.
@sockets.get("/ws", websocket=True)
@sockets.get("/ws", endpoint="no_socket")
def open_socket() -> Response:
    """Open a WebSocket: 101, or a problem."""
    hub: Hub = current_app.extensions[EXTENSION]
    offered = _subprotocols()
    wanted = read_filter(request.args)
    _check_handshake()
    key = bearer() or next((each.removeprefix(KEY_PREFIX) for each in offered if each.startswith(KEY_PREFIX)), "")
    watch = None
    if key:
        watch = hub.admit(key, request.headers.get(TENANT_HEADER), wanted)
    elif "Authorization" in request.headers:
        raise Unauthorized("Send Authorization: Bearer KEY.")
    taken = take_socket(request.environ)
    if taken is None:
        if watch is not None:
            hub.places.leave(watch.key_id)
        raise NotServed("This server cannot handle WebSockets; only Reveille's own server can.")
    greeting = accepting(request.headers["Sec-WebSocket-Key"], SUBPROTOCOL if SUBPROTOCOL in offered else None)
    hub.add(taken, greeting, watch, wanted, request.remote_addr or "")
    return SocketTaken()


@sockets.after_request
def _name_version(response: Response) -> Response:
    """Adds the header for a client that asked for another version (RFC 6455 section 4.4)."""
    if response.status_code == HTTPStatus.UPGRADE_REQUIRED:
        response.headers["Upgrade"] = "websocket"
        response.headers["Sec-WebSocket-Version"] = VERSION
    return response


def _subprotocols() -> list[str]:
    return [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]


def _check_handshake() -> None:
    """Raises UpgradeRequired unless the request is a WebSocket handshake (RFC 6455 section 4.2.1)."""
    asks = {each.strip().lower() for each in request.headers.get("Connection", "").split(",")}
    is_upgrade = "upgrade" in asks and request.headers.get("Upgrade", "").lower() == "websocket"
    if not is_upgrade or request.headers.get("Sec-WebSocket-Version") != VERSION or not _is_nonce():
        raise UpgradeRequired("Open a WebSocket of version 13 here.")


def _is_nonce() -> bool:
    """Whether the handshake's key is 16 bytes in base64."""
    try:
        return len(base64.b64decode(request.headers.get("Sec-WebSocket-Key", ""), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
