"""Pauses and resumes the tenant, or everything, each with a confirmation page."""

from __future__ import annotations

from flask import Response, request

from api.auth import Level, caller, needs
from api.resources.pauses import pause_scope
from api.schemas.tenants_and_keys import PauseIn
from api.services import services
from api.web.base import done, page_blueprint
from api.web.confirmations import ask
from api.web.forms.validation import shaped

pauses = page_blueprint("pauses")

WHAT = {True: "everything", False: "this tenant"}


@pauses.get("/settings/pause")
@needs(Level.ADMIN)
def ask_to_pause() -> Response:
    """Asks for confirmation and the reason."""
    everything = _everything()
    agents = "No agent of any tenant" if everything else "No agent of this tenant"
    return ask(
        f"Pause {WHAT[everything]}?",
        "Pause",
        "/settings",
        f"{agents} is woken until you resume. Current runs continue to their end; firings are recorded and wait. "
        "Agents and triggers that are already paused stay paused afterwards.",
        hidden={"everything": "1"} if everything else {},
        asks_note=True,
    )


@pauses.post("/settings/pause")
@needs(Level.ADMIN)
def pause() -> Response:
    """Pauses the tenant, or everything."""
    everything = _everything()
    note = shaped(PauseIn, {"note": request.form.get("note") or None}).note
    services().pauses.pause(pause_scope(everything=everything), actor=caller().actor, note=note)
    return done("/settings", "")


@pauses.get("/settings/resume")
@needs(Level.ADMIN)
def ask_to_resume() -> Response:
    """Asks for confirmation before a pause ends."""
    everything = _everything()
    return ask(
        f"Resume {WHAT[everything]}?",
        "Resume",
        "/settings",
        "Waiting firings are delivered at once. Agents and triggers that were paused before stay paused.",
        is_danger=False,
        hidden={"everything": "1"} if everything else {},
    )


@pauses.post("/settings/resume")
@needs(Level.ADMIN)
def resume() -> Response:
    """Ends the pause."""
    everything = _everything()
    services().pauses.resume(pause_scope(everything=everything), actor=caller().actor)
    return done("/settings", f"Resumed {WHAT[everything]}.")


def _everything() -> bool:
    everything = request.values.get("everything") == "1"
    pause_scope(everything=everything)
    return everything
