"""Changes many triggers at once: asks for confirmation where a decision would be undone, then works in steps."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask import Response, request

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import PAGE_SIZE, done, page_blueprint, render, wants_json
from api.web.list_filters import RequestFilters
from api.web.progress import STEP, Step, cursor, take, tell
from api.web.trigger_filters import wanted_triggers
from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import parse_id
from scheduler.manage.triggers.bulk import BulkAction, BulkPlan, plan_bulk
from scheduler.storage.read_models.overviews import MOST_COUNTED
from scheduler.storage.read_models.trigger_lists import ListedTrigger, TriggerFilter, find_triggers

ASKED = (BulkAction.RESUME, BulkAction.DELETE)
NOTHING = "Nothing selected. Select at least one trigger, or choose all of them."
GONE = "There is no such trigger."
NAMED = 20
"""How many triggers the question names."""

bulk = page_blueprint("bulk")


@bulk.post("/triggers/bulk")
@needs(Level.WRITE)
def change_many() -> Response:
    """Pauses, resumes or deletes the selected triggers, or all that match the filters, some at each step."""
    verb = _verb()
    asked, wanted = _wanted()
    if wanted is None:
        if wants_json():
            raise InvalidField(NOTHING, field="id")
        return done(_back(asked), NOTHING)
    if verb in ASKED and not request.form.get("confirmed") and not wants_json():
        return _ask(verb, asked, wanted)
    step = _take(verb, wanted)
    if step.following is not None and not wants_json():
        return _ask(verb, asked, wanted, step)
    return tell(step, _back(asked))


def _take(verb: BulkAction, wanted: TriggerFilter) -> Step:
    who, form = caller(), request.form
    note = form.get("note", "").strip()[:500] or None
    acts = {
        BulkAction.PAUSE: lambda id_: services().triggers.pause(who.tenant_id, id_, actor=who.actor, note=note),
        BulkAction.RESUME: lambda id_: services().triggers.resume(who.tenant_id, id_, actor=who.actor),
        BulkAction.DELETE: lambda id_: services().triggers.delete(who.tenant_id, id_, actor=who.actor),
    }
    # Without a script, selected triggers are one step, as the selection is lost with the page.
    size = STEP if wants_json() or wanted.ids is None else PAGE_SIZE
    rows = _find(wanted, size + 1, cursor())
    now = rows[:size]
    chosen = plan_bulk(verb, now).chosen(noted=bool(form.get("noted")), finished=bool(form.get("finished")))
    first = wanted.ids is not None and cursor() is None
    gone = len(wanted.ids or ()) - len(_find(wanted, len(wanted.ids or ()), None)) if first else 0
    step = take([row.id for row in chosen], acts[verb], str(now[-1].id) if len(rows) > size else None)
    if gone:
        step.failed, step.message = step.failed + gone, GONE
    return step


def _ask(verb: BulkAction, asked: RequestFilters, wanted: TriggerFilter, step: Step | None = None) -> Response:
    """Shows the question; or, without a script, the progress and the button to continue."""
    after = UUID(step.following) if step and step.following else None
    rows = _find(wanted, MOST_COUNTED + 1, after)
    found: BulkPlan = plan_bulk(verb, rows[:MOST_COUNTED])
    return render(
        "bulk.html",
        verb=verb.value,
        found=found,
        is_cut=len(rows) > MOST_COUNTED,
        named=NAMED,
        ids=sorted(wanted.ids or ()),
        asked=asked,
        step=step,
        back=_back(asked),
        form=request.form,
    )


def _find(wanted: TriggerFilter, limit: int, after: UUID | None) -> Sequence[ListedTrigger]:
    with services().db.begin() as conn:
        return find_triggers(conn, caller().tenant_id, wanted, limit=limit, after=after)


def _verb() -> BulkAction:
    try:
        return BulkAction(request.form.get("do", ""))
    except ValueError:
        raise InvalidField("Choose an action: pause, resume or delete.", field="do") from None


def _wanted() -> tuple[RequestFilters, TriggerFilter | None]:
    """Returns the list's filters, and what the form applies to: None when nothing was selected.

    Raises InvalidField for an invalid filter, as otherwise more would be changed than intended.
    """
    with services().db.begin() as conn:
        asked, wanted = wanted_triggers(conn, caller().tenant_id)
    for name, message in asked.errors.items():
        raise InvalidField(message, field=name)
    if request.form.get("all"):
        return asked, wanted
    ids = frozenset(parse_id(each, "trigger") for each in request.form.getlist("id"))
    return asked, TriggerFilter(ids=ids) if ids else None


def _back(asked: RequestFilters) -> str:
    return f"/triggers{asked.query}"
