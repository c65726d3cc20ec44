"""Channels. What their providers post comes in by `api.channel_events`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection, Row

from api.addresses import base_url
from api.auth import Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.channels import ChannelIn, ChannelOut, ChannelPage, ChannelPatch, ChannelPath
from api.services import services
from scheduler.channels.registry import open_channel
from scheduler.domain.errors import InvalidField, NotFound
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.channels import create_channel, delete_channel, get_channel, list_channels, update_channel
from scheduler.triggers.base import merge_patch

channels = blueprint("channels", "Where people of a chat provider reach an agent.")


@channels.post("/channels", responses={201: ChannelOut, **CHANGES})
@needs(Level.WRITE)
def make_channel(body: ChannelIn) -> Response:
    """Make a channel. Give its events_url to the provider."""
    who = caller()
    values = body.model_dump(exclude={"secrets"})
    values["secrets"] = _seal(body.kind, body.secrets)
    with services().db.begin() as conn:
        _check_agent(conn, who.tenant_id, body.agent_id)
        row = create_channel(conn, who.tenant_id, values)
        _audit(conn, "created", row, name=row.name, kind=row.kind)
    return answer(_show(row), 201, location=f"/channels/{row.id}")


@channels.get("/channels", responses={200: ChannelPage})
@needs(Level.READ)
def show_channels(query: Page) -> Response:
    """List channels, newest first."""
    with services().db.begin() as conn:
        rows = list_channels(conn, caller().tenant_id, **one_more(query))
    return page(ChannelPage, [_show(row) for row in rows], query)


@channels.get("/channels/<channel_id>", responses={200: ChannelOut})
@needs(Level.READ)
def show_channel(path: ChannelPath) -> Response:
    """Show a channel."""
    with services().db.begin() as conn:
        return answer(_show(get_channel(conn, caller().tenant_id, path.channel_id)))


@channels.patch("/channels/<channel_id>", responses={200: ChannelOut, **CHANGES})
@needs(Level.WRITE)
def change_channel(path: ChannelPath, body: ChannelPatch) -> Response:
    """Change a channel. `secrets` are merged and checked as at creation."""
    who = caller()
    values = given(body)
    with services().db.begin() as conn:
        row = get_channel(conn, who.tenant_id, path.channel_id, lock=True)
        if values.pop("kind", row.kind) != row.kind:
            raise InvalidField("kind cannot change; make a new channel instead.", field="kind")
        changed = sorted(values)
        if "agent_id" in values:
            _check_agent(conn, who.tenant_id, values["agent_id"])
        if "secrets" in values:
            held = json.loads(services().box.decrypt(row.secrets))
            values["secrets"] = _seal(row.kind, merge_patch(held, values["secrets"]))
        if values:
            row = update_channel(conn, row.id, values)
            _audit(conn, "updated", row, fields=changed)
    return answer(_show(row))


@channels.delete("/channels/<channel_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def remove_channel(path: ChannelPath) -> Response:
    """Delete a channel. The messages that came by it stay."""
    with services().db.begin() as conn:
        row = get_channel(conn, caller().tenant_id, path.channel_id, lock=True)
        delete_channel(conn, row.id)
        _audit(conn, "deleted", row, name=row.name, kind=row.kind)
    return no_content()


def _check_agent(conn: Connection, tenant_id: UUID, agent_id: UUID) -> None:
    """Keep the agent from being deleted meanwhile. Raises InvalidField where the tenant has none of that id."""
    try:
        get_agent(conn, tenant_id, agent_id, lock=True)
    except NotFound as error:
        raise InvalidField(error.message, field="agent_id") from None


def _seal(kind: str, secrets: Mapping[str, str | None]) -> bytes:
    """Check the secrets, and encrypt them as they are kept. Raises InvalidField."""
    held = {name: value for name, value in secrets.items() if value is not None}
    open_channel(kind, held)
    return services().box.encrypt(json.dumps(held))


def _show(row: Row[Any]) -> ChannelOut:
    base = base_url()
    shown = {**row._mapping, "events_url": f"{base}/channels/{row.id}/events"}  # noqa: SLF001  # public in all but name
    return ChannelOut.model_validate(shown)


def _audit(conn: Connection, verb: str, row: Row[Any], **detail: object) -> None:
    record_events(conn, [Event(f"channel.{verb}", row.tenant_id, row.id, row.agent_id, caller().actor, detail)])
