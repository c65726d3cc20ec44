"""Splits long work into short steps: a script repeats the form until all is done, and shows the progress.

Each step has its own transactions, so completed work is kept whatever happens next. Without a script, each press
of the button is a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from flask import Response, jsonify, request

from api.web.base import done, wants_json
from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.storage.repeats import repeat

STEP = 20
"""How many objects one step handles."""


@dataclass(slots=True)
class Step:
    """The result of a step. `following`: the cursor of the next step; None when this was the last."""

    done: int = 0
    failed: int = 0
    message: str = ""
    following: str | None = None

    @property
    def summary(self) -> str:
        """Describes the step in a sentence."""
        words = f"{self.done} done" + (f", {self.failed} failed: {self.message}" if self.failed else ".")
        return f"{words} More remain: press again to continue." if self.following else words


def take(things: Iterable[UUID], act: Callable[[UUID], object], following: str | None) -> Step:
    """Calls `act` with each of `things`. One refusal does not affect the others; an outage ends the step."""
    step = Step(following=following)
    for thing in things:
        try:
            repeat(partial(act, thing))
        except DatabaseUnavailable:
            raise
        except ReveilleError as error:
            step.failed += 1
            step.message = error.message
        else:
            step.done += 1
    return step


def cursor() -> UUID | None:
    """Returns where the previous step ended; None for the first."""
    given = request.form.get("cursor", "")
    return parse_id(given, "step") if given else None


def tell(step: Step, path: str) -> Response:
    """Returns the step to the script, or redirects to `path` with the result."""
    if wants_json():
        return jsonify(done=step.done, failed=step.failed, message=step.message, next=step.following)
    if step.following is not None:
        path += f"{'&' if '?' in path else '?'}cursor={step.following}"
    return done(path, step.summary)
