"""POST /channels/{id}/events: where chat providers post.

No API key: each event is verified by its provider's method.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from api.body import read_bytes
from api.services import services
from scheduler.channels.intake import receive_event
from scheduler.domain.ids import parse_id
from scheduler.domain.signatures import SignedRequest

channel_events = Blueprint("channel_events", __name__)


@channel_events.post("/channels/<channel_id>/events")
def receive(channel_id: str) -> dict[str, Any]:
    """Accept one event: 200 with the response that its provider expects, once its message is durable."""
    signed = SignedRequest(dict(request.headers), read_bytes())
    return receive_event(services().db, services().box, parse_id(channel_id, "channel"), signed)
