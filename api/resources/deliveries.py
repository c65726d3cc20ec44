"""Webhook deliveries and their replay."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, one_more, page
from api.resources.triggers import reached
from api.schemas.deliveries import (
    DeliveryPage,
    DeliveryPath,
    DeliveryQuery,
    DeliveryRange,
    DeliveryWhole,
    RedeliveredListOut,
    RedeliveredOut,
)
from api.schemas.triggers import TriggerPath
from api.services import services
from scheduler.domain.errors import NotFound
from scheduler.domain.text import text_or_base64
from scheduler.storage.read_models.deliveries import DeliveryFilter, find_deliveries, get_delivery

deliveries = blueprint("deliveries", "The requests that webhooks received.")


@deliveries.get("/triggers/<trigger_id>/deliveries", responses={200: DeliveryPage})
@needs(Level.READ, own=True)
def show_deliveries(path: TriggerPath, query: DeliveryQuery) -> Response:
    """List the deliveries of a webhook and their outcomes, newest first."""
    reached(path.trigger_id)
    wanted = DeliveryFilter(trigger_id=path.trigger_id, verdict=query.verdict, span=query.span, error=query.error)
    with services().db.begin() as conn:
        return page(DeliveryPage, find_deliveries(conn, caller().tenant_id, wanted, **one_more(query)), query)


@deliveries.get("/triggers/<trigger_id>/deliveries/<item:delivery_id>", responses={200: DeliveryWhole})
@needs(Level.READ, own=True)
def show_delivery(path: DeliveryPath) -> Response:
    """Show a delivery with its body; of a refused one the first 2,000 bytes are kept."""
    reached(path.trigger_id)
    with services().db.begin() as conn:
        row = get_delivery(conn, caller().tenant_id, path.delivery_id)
    if row.trigger_id != path.trigger_id:
        raise NotFound(f"There is no delivery '{path.delivery_id}'.")
    text, encoded = text_or_base64(row.body)
    return answer(DeliveryWhole.model_validate({**asdict(row), "body": text, "body_base64": encoded}))


@deliveries.post("/triggers/<trigger_id>/deliveries/replay", responses={202: RedeliveredListOut, **CHANGES})
@needs(Level.WRITE, own=True)
def replay_range(path: TriggerPath, body: DeliveryRange) -> Response:
    """Fire again with each accepted or filtered delivery of a range, oldest first; all or none."""
    who = caller()
    reached(path.trigger_id)
    again = services().deliveries.replay_range(
        who.tenant_id, path.trigger_id, body.since, body.until, actor=who.actor, by_agent=who.is_agent
    )
    items = [RedeliveredOut.model_validate(each) for each in again]
    return answer(RedeliveredListOut(items=items), 202)


@deliveries.post(
    "/triggers/<trigger_id>/deliveries/<delivery_id>/replay", responses={202: RedeliveredOut, **CHANGES}
)
@needs(Level.WRITE, own=True)
def replay_delivery(path: DeliveryPath) -> Response:
    """Fire again with the body of one delivery, regardless of its id, the filter and the rate limit."""
    who = caller()
    reached(path.trigger_id)
    again = services().deliveries.replay(
        who.tenant_id, path.trigger_id, path.delivery_id, actor=who.actor, by_agent=who.is_agent
    )
    return answer(RedeliveredOut.model_validate(again), 202)
