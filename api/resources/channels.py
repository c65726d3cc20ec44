"""Channels, and POST /channels/{id}/events, where chat providers post.

The latter needs no API key: each event is verified by its provider's method.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from api.addresses import base_url
from api.auth import Level, caller, needs
from api.body import read_bytes
from api.resources.base import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.channels import ChannelIn, ChannelOut, ChannelPage, ChannelPatch, ChannelPath
from api.services import services
from scheduler.channels.intake import receive_event
from scheduler.domain.ids import parse_id
from scheduler.domain.signatures import SignedRequest
from scheduler.metrics import INTAKE_DURATION
from scheduler.storage.tables.messages import Channel

channels = blueprint("channels", "Connections to chat services through which people reach an agent.")
channel_events = Blueprint("channel_events", __name__)


@channels.post("/channels", responses={201: ChannelOut, **CHANGES})
@needs(Level.WRITE)
def make_channel(body: ChannelIn) -> Response:
    """Create a channel. Configure its events_url at the provider."""
    who = caller()
    row = services().channels.create(who.tenant_id, body.model_dump(), actor=who.actor)
    return answer(_show(row), 201, location=f"/channels/{row.id}")


@channels.get("/channels", responses={200: ChannelPage})
@needs(Level.READ)
def show_channels(query: Page) -> Response:
    """List channels, newest first."""
    rows = services().channels.list(caller().tenant_id, **one_more(query))
    return page(ChannelPage, [_show(row) for row in rows], query)


@channels.get("/channels/<channel_id>", responses={200: ChannelOut})
@needs(Level.READ)
def show_channel(path: ChannelPath) -> Response:
    """Show a channel."""
    return answer(_show(services().channels.get(caller().tenant_id, path.channel_id)))


@channels.patch("/channels/<channel_id>", responses={200: ChannelOut, **CHANGES})
@needs(Level.WRITE)
def change_channel(path: ChannelPath, body: ChannelPatch) -> Response:
    """Change a channel. `secrets` are merged and checked as at creation."""
    who = caller()
    return answer(_show(services().channels.update(who.tenant_id, path.channel_id, given(body), actor=who.actor)))


@channels.delete("/channels/<channel_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def remove_channel(path: ChannelPath) -> Response:
    """Delete a channel. Its messages stay."""
    who = caller()
    services().channels.delete(who.tenant_id, path.channel_id, actor=who.actor)
    return no_content()


def _show(row: Channel) -> ChannelOut:
    base = base_url()
    shown = {**row.columns(), "events_url": f"{base}/channels/{row.id}/events"}
    return ChannelOut.model_validate(shown)


@channel_events.post("/channels/<channel_id>/events")
def receive(channel_id: str) -> dict[str, Any]:
    """Accept one event: 200 with the response that its provider expects, once its message is durable."""
    signed = SignedRequest(dict(request.headers), read_bytes())
    with INTAKE_DURATION.labels("channel").time():
        return receive_event(services().db, services().box, parse_id(channel_id, "channel"), signed)
