"""Firings: what was recorded, with what it carried."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import document_file, payload_file
from api.resources.base import CHANGES, answer, blueprint, one_more, page
from api.schemas.history import AckIn, DocumentPath, FiringOut, FiringPage, FiringPath, FiringQuery, FiringWhole
from api.services import services
from scheduler.domain.acks import Ack, AckStatus
from scheduler.domain.text import text_or_base64
from scheduler.invocations.acks import acknowledge_one
from scheduler.storage.firing_documents import get_document, list_documents
from scheduler.storage.read_models.history import LedgerFilter, get_firing, list_firings
from scheduler.storage.read_models.history_rows import WholeFiring

RAW: dict[str, Any] = {
    "description": "The original bytes; their type is the firing's `content_type`.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

firings = blueprint("firings", "Records that a trigger fired, each stored once.")


@firings.get("/firings", responses={200: FiringPage})
@needs(Level.READ, own=True)
def show_firings(query: FiringQuery) -> Response:
    """List firings without their payloads, newest first."""
    who = caller()
    wanted = LedgerFilter(who.narrow(query.agent_id), query.trigger_id, query.state, query.span)
    with services().db.begin() as conn:
        return page(FiringPage, list_firings(conn, who.tenant_id, wanted, **one_more(query)), query)


@firings.get("/firings/<firing_id>", responses={200: FiringWhole})
@needs(Level.READ, own=True)
def show_firing(path: FiringPath) -> Response:
    """Show a firing with its whole payload."""
    row = _reached(path.firing_id)
    text, encoded = text_or_base64(row.payload)
    with services().db.begin() as conn:
        documents = list_documents(conn, row.id)
    shown = {**asdict(row), "payload": text, "payload_base64": encoded}
    shown["documents"] = documents
    return answer(FiringWhole.model_validate(shown))


@firings.get("/firings/<firing_id>/payload", responses={200: RAW})
@needs(Level.READ, own=True)
def download_payload(path: FiringPath) -> Response:
    """Download a firing's payload as it came. It is never shown in a page, as it is untrusted."""
    return payload_file(_reached(path.firing_id))


@firings.get("/firings/<firing_id>/documents/<number>", responses={200: RAW})
@needs(Level.READ, own=True)
def download_document(path: DocumentPath) -> Response:
    """Download a document of a firing, such as a whole mail. Never shown in a page: a stranger may have written it."""
    row = _reached(path.firing_id)
    with services().db.begin() as conn:
        return document_file(get_document(conn, row.id, path.number))


@firings.post("/firings/<firing_id>/ack", responses={200: FiringOut, **CHANGES})
@needs(Level.WRITE, own=True)
def acknowledge_firing(path: FiringPath, body: AckIn) -> Response:
    """Acknowledge a firing on behalf of its agent: handled, ignored, or deferred `until` a time."""
    row = _reached(path.firing_id)
    who = caller()
    ack = Ack(row.id, AckStatus(body.status), body.until)
    with services().db.begin() as conn:
        acknowledge_one(conn, row.agent_id, ack, actor=who.actor)
        return answer(FiringOut.model_validate(get_firing(conn, who.tenant_id, row.id)))


def _reached(firing_id: UUID) -> WholeFiring:
    who = caller()
    with services().db.begin() as conn:
        row = get_firing(conn, who.tenant_id, firing_id)
    who.must_reach(row.agent_id, "firing", firing_id)
    return row
