"""The page of webhook deliveries, with replay."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.schemas.deliveries import DeliveryRange
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.contents import readable, shown_data
from api.web.forms.validation import filled, shaped
from api.web.list_filters import AGENT, ERROR, FROM, TO, TRIGGER, choice, read_filters
from api.web.progress import STEP, cursor, take, tell
from scheduler.domain.ids import parse_id
from scheduler.intake.webhooks.statements import Verdict, kept_between
from scheduler.storage.read_models.deliveries import REFUSED, DeliveryFilter, find_deliveries, get_delivery
from scheduler.storage.read_models.overviews import owned_triggers, triggers_with_pages
from scheduler.storage.read_models.triggers import TriggerView, get_view

WHOLE = 1024 * 1024
"""More than any body that a webhook takes."""

deliveries = page_blueprint("deliveries")


VERDICTS = {REFUSED: "not accepted"} | {each.value: each.value.replace("_", " ") for each in Verdict}
FILTERS = (
    AGENT,
    TRIGGER,
    replace(choice("state", "Verdict", VERDICTS), formerly="show"),
    FROM,
    TO,
    replace(ERROR, label="Reason"),
)


@deliveries.get("/deliveries")
@needs(Level.READ)
def show_deliveries() -> Response:
    """Lists deliveries matching the filters, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = DeliveryFilter(
            asked.get("agent_id"), asked.get("trigger_id"), asked.get("state"), asked.span, asked.get("error")
        )
        trigger = _with_page(conn, who.tenant_id, wanted.trigger_id)
        page = asked.page(lambda **span: find_deliveries(conn, who.tenant_id, wanted, **span))
        owners = owned_triggers(conn, who.tenant_id, {row.trigger_id for row in page})
    return render("deliveries.html", asked.status, page=page, owners=owners, trigger=trigger, asked=asked)


@deliveries.get("/deliveries/<delivery_id>")
@needs(Level.READ)
def show_delivery(delivery_id: str) -> Response:
    """Shows a delivery with its body."""
    who = caller()
    with services().db.begin() as conn:
        row = get_delivery(conn, who.tenant_id, parse_id(delivery_id, "delivery"))
        owner = owned_triggers(conn, who.tenant_id, [row.trigger_id]).get(row.trigger_id)
        is_listed = bool(triggers_with_pages(conn, who.tenant_id, [row.trigger_id]))
    body = readable(None if row.body is None else row.body[:WHOLE], row.size)
    return render(
        "delivery.html", delivery=row, owner=owner, is_listed=is_listed, body=body, data=shown_data(row.data)
    )


@deliveries.post("/triggers/<trigger_id>/deliveries/<delivery_id>/replay")
@needs(Level.WRITE)
def replay(trigger_id: str, delivery_id: str) -> Response:
    """Fires again with the body of one delivery, and shows the invocation that carries it."""
    who, trigger, delivery = caller(), parse_id(trigger_id, "trigger"), parse_id(delivery_id, "delivery")
    again = services().deliveries.replay(who.tenant_id, trigger, delivery, actor=who.actor)
    return done(f"/invocations/{again.invocation_id}", "The delivery fired again. This invocation carries it.")


@deliveries.post("/triggers/<trigger_id>/deliveries/replay")
@needs(Level.WRITE)
def replay_range(trigger_id: str) -> Response:
    """Fires again with the deliveries of a range, oldest first, some at each step."""
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


def _with_page(conn: Connection, tenant_id: UUID, trigger_id: UUID | None) -> TriggerView | None:
    """Returns the trigger of a filtered list; None for several triggers, or a deleted one."""
    if trigger_id is None or not triggers_with_pages(conn, tenant_id, [trigger_id]):
        return None
    return get_view(conn, tenant_id, trigger_id)
