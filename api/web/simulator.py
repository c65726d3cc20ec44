"""The page that simulates definitions and compares them with today."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from pydantic import ValidationError

from api.auth import Level, caller, needs
from api.schemas.simulations import SimulationIn
from api.services import services
from api.web.base import page_blueprint, render
from scheduler.definitions.files import Bundle
from scheduler.definitions.rates import parse_rate
from scheduler.definitions.references import References
from scheduler.definitions.yaml_text import read_yaml
from scheduler.domain.errors import InvalidField, LimitReached
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.local_time import parse_duration
from scheduler.manage.models import Author

SOURCE = "definitions"
NO_REFERENCES = References(lambda _: None, reads_files=False)
"""Text typed into a page must not read this server's variables and files."""
NUMBERS = ("tokens", "cost")
FIELDS = frozenset({"days", "rates", "run_seconds", *NUMBERS})

simulator = page_blueprint("simulator")


@simulator.get("/simulate")
@needs(Level.WRITE)
def show_form() -> Response:
    """Shows the empty form."""
    return render("simulate.html", form={"days": "30"}, errors={}, lines=[], found=None)


@simulator.post("/simulate")
@needs(Level.WRITE)
def simulate() -> Response:
    """Shows what definitions would do. Nothing is changed."""
    who, bundle = caller(), Bundle()
    try:
        asked = _asked(bundle)
        author = Author(who.actor, who.is_operator)
        found = services().simulations.run(who.tenant_id, asked.wanted(), author, asked.asked())
    except LimitReached as error:
        return _refused(error.status, {}, [error.message])
    except InvalidRequest as error:
        errors = {each.field: each.message for each in error.errors if each.field in FIELDS}
        rest = [each for each in error.errors if each.field not in FIELDS]
        return _refused(error.status, errors, [bundle.told(each.field, each.message) for each in rest])
    except InvalidField as error:
        if error.field in FIELDS:
            return _refused(error.status, {error.field: error.message}, [])
        return _refused(error.status, {}, [error.message])
    return render("simulate.html", form=request.form, errors={}, lines=[], found=found)


def _refused(status: int, errors: dict[str, str], lines: list[str]) -> Response:
    return render("simulate.html", status, form=request.form, errors=errors, lines=lines, found=None)


def _asked(bundle: Bundle) -> SimulationIn:
    """Reads the form. Raises InvalidField, InvalidRequest."""
    for document in read_yaml(request.form.get("definitions", "").replace("\r\n", "\n"), SOURCE):
        bundle.add(document)
    rates = [each.strip() for each in request.form.get("rates", "").splitlines()]
    body: dict[str, Any] = bundle.body(NO_REFERENCES)
    body["days"] = _number("days", int)
    body["rates"] = [parse_rate(each) for each in rates if each]
    body["run_seconds"] = _seconds()
    body |= {name: _number(name, float) for name in NUMBERS}
    try:
        return SimulationIn.model_validate({name: each for name, each in body.items() if each is not None})
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def _number(name: str, kind: type[int | float]) -> float | None:
    text = request.form.get(name, "").strip()
    try:
        return kind(text) if text else None
    except ValueError:
        raise InvalidField("must be a number.", field=name) from None


def _seconds() -> float | None:
    text = request.form.get("run_seconds", "").strip()
    seconds = parse_duration(text) if text else None
    if text and seconds is None:
        raise InvalidField("must be a duration such as 30s, 5m or 2h.", field="run_seconds")
    return seconds
