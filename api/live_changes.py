"""GET /live: server-sent events for programs, each of which only says that something of the tenant changed.

The changes themselves are read from the listings, with the key's rights, so nothing is missed when the stream
breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast
from uuid import UUID

from flask import Blueprint, Flask, Response, current_app, request

from api.auth import Level, authenticate, caller, needs
from api.services import Services
from api.web.streams import Streams, Viewer, hand_over
from scheduler.storage.live import live_keys

EXTENSION = "reveille_changes"

changes = Blueprint("changes", __name__)


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant whose changes are reported."""

    tenant_id: UUID


def register(app: Flask, services: Services) -> None:
    """Registers the route."""

    def unrevoked(ids: set[str]) -> set[str]:
        with services.db.begin() as conn:
            return {str(id_) for id_ in live_keys(conn, {UUID(id_) for id_ in ids})}

    app.extensions[EXTENSION] = Streams[Tenant](services.live, lambda _: "changed", unrevoked, services.clock)
    app.register_blueprint(changes)


@changes.get("/live")
@needs(Level.READ)
def stream() -> Response:
    """Send `data: changed` after changes, at most once a second, and every 10 seconds."""
    authenticate()
    who = caller()
    streams = cast("Streams[Tenant]", current_app.extensions[EXTENSION])
    return hand_over(streams, Tenant(who.tenant_id), Viewer(who.key_id, str(who.key_id)), request.environ)
