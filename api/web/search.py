"""The search page, which every page links to."""

from __future__ import annotations

from flask import Response, request

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, render
from api.web.list_filters import LONGEST
from scheduler.storage.read_models.search import MOST, search

PATHS = {
    "agent": "/agents/{}",
    "trigger": "/triggers/{}",
    "invocation": "/invocations/{}",
    "firing": "/firings/{}",
    "session": "/sessions/{}",
    "message": "/messages/{}",
    "delivery": "/deliveries/{}",
    "model": "/settings/models",
    "target": "/settings/notifications",
}

finder = page_blueprint("search")


@finder.get("/search")
@needs(Level.READ)
def show() -> Response:
    """Shows what matches part of a name, reason or error, or an id."""
    words = request.args.get("q", "").replace("\0", "").strip()[:LONGEST]
    found = []
    if words:
        with services().db.begin() as conn:
            found = [*search(conn, caller().tenant_id, words)]
    return render("search.html", words=words, found=found, paths=PATHS, most=MOST)
