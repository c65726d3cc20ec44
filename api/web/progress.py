"""Long work in short steps: a script sends the form again and again until all is done, and shows how far it is.

Each step is transactions of its own, so that what is done stays done whatever becomes of the rest. Without a script
a step is what one press of the button does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from flask import Response, jsonify, request

from api.web.base import done, wants_json
from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.domain.ids import parse_id

STEP = 20
"""Things that one step takes on."""


@dataclass(slots=True)
class Step:
    """What became of some things. `following`: the cursor of the next step; None when this was the last."""

    done: int = 0
    failed: int = 0
    message: str = ""
    following: str | None = None

    @property
    def summary(self) -> str:
        """The step in a sentence."""
        words = f"{self.done} done" + (f", {self.failed} failed: {self.message}" if self.failed else ".")
        return f"{words} More remain: press again to continue." if self.following else words


def take(things: Iterable[UUID], act: Callable[[UUID], object], following: str | None) -> Step:
    """Do `act` to each of `things`. One that is refused holds up no other; an outage ends it all."""
    step = Step(following=following)
    for thing in things:
        try:
            act(thing)
        except DatabaseUnavailable:
            raise
        except ReveilleError as error:
            step.failed += 1
            step.message = error.message
        else:
            step.done += 1
    return step


def cursor() -> UUID | None:
    """Where the step before ended; None for the first."""
    given = request.form.get("cursor", "")
    return parse_id(given, "step") if given else None


def tell(step: Step, path: str) -> Response:
    """The step for the script, or the way back to `path` with what became of it."""
    if wants_json():
        return jsonify(done=step.done, failed=step.failed, message=step.message, next=step.following)
    if step.following is not None:
        path += f"{'&' if '?' in path else '?'}cursor={step.following}"
    return done(path, step.summary)
