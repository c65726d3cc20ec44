"""Deliveries: what webhooks were sent, what the check of each said, and once more please."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection, Row

from api.auth import Level, caller, needs
from api.schemas.triggers import DeliveryRange
from api.services import services
from api.web.base import done, page_blueprint, paged, render, uuid_arg
from api.web.progress import STEP, cursor, take, tell
from api.web.shapes import filled, shaped
from scheduler.domain.ids import parse_id
from scheduler.intake.webhooks.statements import kept_between
from scheduler.storage.overviews import list_calls, owned_triggers
from scheduler.storage.queries import list_deliveries
from scheduler.storage.trigger_views import get_view

deliveries = page_blueprint("deliveries")


@deliveries.get("/deliveries")
@needs(Level.READ)
def show_deliveries() -> Response:
    """List deliveries, newest first: all of the tenant's, the refused ones, or those of one trigger."""
    who, trigger_id = caller(), uuid_arg("trigger_id")
    refused = request.args.get("show") == "refused"
    with services().db.begin() as conn:
        trigger = None if trigger_id is None else get_view(conn, who.tenant_id, trigger_id)
        page = paged(_source(conn, who.tenant_id, trigger_id, refused=refused))
        owners = owned_triggers(conn, who.tenant_id, {row.trigger_id for row in page})
    return render("deliveries.html", page=page, owners=owners, trigger=trigger, refused=refused)


@deliveries.post("/triggers/<trigger_id>/deliveries/<delivery_id>/replay")
@needs(Level.WRITE)
def replay(trigger_id: str, delivery_id: str) -> Response:
    """Fire again with the body of one delivery, and show the invocation that carries it."""
    who, trigger, delivery = caller(), parse_id(trigger_id, "trigger"), parse_id(delivery_id, "delivery")
    again = services().deliveries.replay(who.tenant_id, trigger, delivery, actor=who.actor)
    return done(f"/invocations/{again.invocation_id}", "The delivery fired again. This invocation carries it.")


@deliveries.post("/triggers/<trigger_id>/deliveries/replay")
@needs(Level.WRITE)
def replay_range(trigger_id: str) -> Response:
    """Fire again with the deliveries of a range, oldest first, some at each step."""
    who, trigger = caller(), parse_id(trigger_id, "trigger")
    span = shaped(DeliveryRange, {"since": "", "until": "", **filled("since", "until")})
    with services().db.begin() as conn:
        get_view(conn, who.tenant_id, trigger)
        kept = kept_between(conn, trigger, span.since, span.until, limit=STEP + 1, after=cursor())
    ids = [each.id for each in kept[:STEP]]
    following = str(ids[-1]) if len(kept) > STEP else None

    def again(delivery_id: UUID) -> None:
        services().deliveries.replay(who.tenant_id, trigger, delivery_id, actor=who.actor)

    return tell(take(ids, again, following), f"/deliveries?trigger_id={trigger}")


def _source(
    conn: Connection, tenant_id: UUID, trigger_id: UUID | None, *, refused: bool
) -> Callable[..., Sequence[Row[Any]]]:
    if trigger_id is not None:
        return lambda **span: list_deliveries(conn, trigger_id, **span)
    return lambda **span: list_calls(conn, tenant_id, refused=refused, **span)
