"""The pages of firings: the list, and one with its whole payload, which is shown as text or downloaded, never
interpreted.
"""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import document_file, payload_file
from api.services import services
from api.web.base import page_blueprint, render
from api.web.contents import readable, shown_data
from api.web.list_filters import AGENT, FROM, TO, TRIGGER, choice, ledger_filter, read_filters
from scheduler.domain.ids import parse_id
from scheduler.domain.model import FiringState
from scheduler.storage.firing_documents import get_document, list_documents
from scheduler.storage.read_models.history import get_firing, list_firings
from scheduler.storage.read_models.overviews import agent_names, triggers_with_pages

STATES = {state.value: "failed" if state is FiringState.DEAD else state.value for state in FiringState}
FILTERS = (AGENT, TRIGGER, choice("state", "State", STATES), FROM, TO)

MOST_DOCUMENTS = 1_000
"""More than any firing has."""

firings = page_blueprint("firings")


@firings.get("/firings")
@needs(Level.READ)
def show_firings() -> Response:
    """Lists firings matching the filters, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = ledger_filter(asked)
        page = asked.page(lambda **span: list_firings(conn, who.tenant_id, wanted, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page})
        linked = triggers_with_pages(conn, who.tenant_id, {row.trigger_id for row in page})
    return render("firings.html", asked.status, page=page, names=names, linked=linked, asked=asked)


@firings.get("/firings/<firing_id>")
@needs(Level.READ)
def show_firing(firing_id: str) -> Response:
    """Shows a whole firing."""
    who = caller()
    with services().db.begin() as conn:
        row = get_firing(conn, who.tenant_id, parse_id(firing_id, "firing"))
        names = agent_names(conn, who.tenant_id, [row.agent_id])
        linked = triggers_with_pages(conn, who.tenant_id, [row.trigger_id])
        documents = list_documents(conn, row.id)
    return render(
        "firing.html",
        documents=documents,
        firing=row,
        linked=linked,
        agent_name=names.get(row.agent_id, ""),
        payload=readable(row.payload, row.payload_size),
        data=shown_data(row.data),
    )


@firings.get("/firings/<firing_id>/payload")
@needs(Level.READ)
def download_payload(firing_id: str) -> Response:
    """Downloads the payload as bytes that browsers do not open."""
    with services().db.begin() as conn:
        row = get_firing(conn, caller().tenant_id, parse_id(firing_id, "firing"))
    return payload_file(row)


@firings.get("/firings/<firing_id>/documents/<int:number>")
@needs(Level.READ)
def download_document(firing_id: str, number: int) -> Response:
    """Downloads a document of a firing as bytes that browsers do not open."""
    with services().db.begin() as conn:
        row = get_firing(conn, caller().tenant_id, parse_id(firing_id, "firing"))
        return document_file(get_document(conn, row.id, min(number, MOST_DOCUMENTS)))
