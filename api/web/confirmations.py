"""The confirmation pages for irreversible actions, each at the address that its form is sent to."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, render
from api.web.sign_ins import endable_session
from scheduler.domain.errors import NotFound
from scheduler.domain.ids import parse_id
from scheduler.storage.read_models.history import get_invocation
from scheduler.storage.read_models.overviews import agent_names
from scheduler.triggers.registry import UNLISTED, kind_of

questions = page_blueprint("questions")


def ask(
    question: str,
    button: str,
    back: str,
    says: str,
    *,
    is_danger: bool = True,
    hidden: Mapping[str, str] | None = None,
    is_long: bool = False,
    asks_note: bool = False,
) -> Response:
    """Renders a question whose form goes to the page's address, with `hidden` fields.

    `is_long`: the action is done in steps. `asks_note`: the form has a field for a note.
    """
    return render(
        "confirmation.html",
        question=question,
        button=button,
        back=back,
        says=says,
        is_danger=is_danger,
        hidden=hidden or {},
        is_long=is_long,
        asks_note=asks_note,
    )


@questions.get("/triggers/<trigger_id>/delete")
@needs(Level.WRITE)
def delete_trigger(trigger_id: str) -> Response:
    """Asks before a trigger is deleted."""
    name, path = _trigger(trigger_id)
    says = "This cannot be undone. It will not fire any more. Its recorded firings are kept and still delivered."
    return ask(f"Delete {name}?", "Delete", path, says)


@questions.get("/triggers/<trigger_id>/rotate")
@needs(Level.WRITE)
def rotate_address(trigger_id: str) -> Response:
    """Asks before a webhook's address stops working."""
    name, path = _trigger(trigger_id, has_address=True)
    says = "The old address stops working at once. The new one is shown on the next page, and only there."
    return ask(f"New address for {name}?", "Create new address", path, says)


@questions.get("/settings/notifications/<target_id>/delete")
@needs(Level.WRITE)
def delete_target(target_id: str) -> Response:
    """Asks before a notification target is deleted."""
    target = services().targets.get(caller().tenant_id, parse_id(target_id, "notification target"))
    of_one = {"agent_id": str(target.agent_id)} if request.args.get("agent_id") else {}
    back = "/settings/notifications" + (f"?agent_id={target.agent_id}" if of_one else "")
    says = "This cannot be undone. What is on its way there is given up; replies are still kept in their sessions."
    return ask(f"Delete {target.name}?", "Delete", back, says, hidden=of_one)


@questions.get("/settings/models/<model_id>/delete")
@needs(Level.WRITE)
def delete_model(model_id: str) -> Response:
    """Asks before a model is deleted."""
    model = services().models.get(caller().tenant_id, parse_id(model_id, "model"))
    says = "This cannot be undone. Its stored key is deleted with it. A model that agents use is not deleted."
    return ask(f"Delete {model.name}?", "Delete", "/settings/models", says)


@questions.get("/settings/keys/<key_id>/revoke")
@needs(Level.ADMIN)
def revoke_key(key_id: str) -> Response:
    """Asks before a key stops working."""
    key = services().keys.get(caller().requester, parse_id(key_id, "key"))
    says = "This cannot be undone. Whoever uses the key is refused from then on, and signed out of these pages."
    return ask(f"Revoke {key.name}?", "Revoke", "/settings", says)


@questions.get("/settings/sign-ins/<session_id>/end")
@needs(Level.READ)
def end_session(session_id: str) -> Response:
    """Asks before somebody is signed out."""
    with services().db.begin() as conn:
        found = endable_session(conn, session_id)
    says = "This is the session that you are using: you will be signed out." if found.is_this else ""
    return ask(f"End the session of {found.name}?", "End", "/settings/sign-ins", says or "They can sign in again.")


@questions.get("/invocations/<invocation_id>/cancel")
@needs(Level.WRITE)
def cancel_invocation(invocation_id: str) -> Response:
    """Asks before an invocation is cancelled."""
    agent, path = _invocation(invocation_id)
    says = "A running one finishes first. Its firings are kept and can be replayed later."
    return ask(f"Cancel this invocation of {agent}?", "Cancel invocation", path, says)


@questions.get("/invocations/<invocation_id>/replay")
@needs(Level.WRITE)
def replay_invocation(invocation_id: str) -> Response:
    """Asks before an agent is woken with the same firings again."""
    agent, path = _invocation(invocation_id)
    says = f"{agent} is woken with these firings again, at once."
    return ask("Replay this invocation?", "Replay", path, says, is_danger=False)


def _trigger(trigger_id: str, *, has_address: bool = False) -> tuple[str, str]:
    found = services().triggers.get(caller().tenant_id, parse_id(trigger_id, "trigger"))
    if found.type in UNLISTED or (has_address and not kind_of(found.type).has_address):
        raise NotFound(f"There is no trigger {trigger_id}{' with an address' if has_address else ''}.")
    return found.name, f"/triggers/{found.id}"


def _invocation(invocation_id: str) -> tuple[str, str]:
    with services().db.begin() as conn:
        row = get_invocation(conn, caller().tenant_id, parse_id(invocation_id, "invocation"))
        names = agent_names(conn, caller().tenant_id, [row.agent_id])
    return names.get(row.agent_id, "a deleted agent"), f"/invocations/{row.id}"
