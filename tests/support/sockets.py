"""A real web process with WebSockets, and a real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect

from api.app import ReveilleApi, create_app
from api.services import EXTENSION, Services
from api.sockets.hub import Hub, Pace
from api.sockets.route import EXTENSION as SOCKETS
from tests.support.web import Web

FAST = "tests.support.sockets:fast_app()"
"""For `running_web`: pings clients and checks their keys five times a second."""
IMPATIENT = "tests.support.sockets:impatient_app()"
"""The same, but a client that is silent for 5 s is gone."""
PATIENCE = 20.0


def fast_app(silent: float = 120.0) -> ReveilleApi:
    """Creates the application with a fast socket hub, for which a client may be `silent` for so many seconds."""
    app = create_app()
    services: Services = app.extensions[EXTENSION]
    app.extensions[SOCKETS] = Hub(services.live, services.db, services.clock, Pace(beat=0.2, silent=silent))
    return app


def impatient_app() -> ReveilleApi:
    """Creates the application for a client that does not answer."""
    return fast_app(5.0)


@contextmanager
def opened(
    web: Web, key: str | None, *, tenant_id: str | None = None, subprotocols: Any = None, **wanted: object
) -> Iterator[ClientConnection]:
    """Opens a socket, authenticated by the header if there is a key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    if tenant_id is not None:
        headers["Reveille-Tenant"] = tenant_id
    query = "?" + urlencode({name: str(value) for name, value in wanted.items()}) if wanted else ""
    url = f"ws://127.0.0.1:{web.port}/ws{query}"
    with connect(url, additional_headers=headers, subprotocols=subprotocols, open_timeout=PATIENCE) as client:
        yield client


def pushed(client: ClientConnection) -> dict[str, Any]:
    """Returns the next message."""
    message = json.loads(client.recv(PATIENCE))
    assert isinstance(message, dict)
    return message
