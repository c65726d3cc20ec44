"""The page of models, which agents with the runtime `llm` use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import model_out
from api.resources.base import given
from api.schemas.models import ModelIn, ModelPatch
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.kept_secrets import KeptSecrets
from api.web.forms.saved import DO
from api.web.forms.validation import filled, shaped, wrong_fields
from api.web.list_filters import FROM, TO, Filter, RequestFilters, choice, read_filters
from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.domain.llm import Provider
from scheduler.manage.models import Author
from scheduler.storage.models import ModelFilter, list_models

FIELDS = (
    "name",
    "provider",
    "model",
    "base_url",
    "key",
    "key_env",
    "max_output_tokens",
    "input_price",
    "output_price",
)

SECRETS = ("key",)
PROVIDERS = [provider.value for provider in Provider]
STATES = {"enabled": True, "disabled": False}
FILTERS = (
    Filter("q", "Search", hint="Name, model or provider."),
    choice("state", "State", list(STATES)),
    replace(FROM, label="Created from"),
    replace(TO, label="Created to"),
)
NULL_WHEN_EMPTY = frozenset({"base_url", "key_env", "max_output_tokens"})
NEVER_EMPTY = frozenset({"name", "model"})
"""Fields that are sent even when empty, and then refused."""

models = page_blueprint("models")


@models.get("/settings/models")
@needs(Level.READ)
def show_models() -> Response:
    """Lists models, newest first, with a form for another."""
    return _page()


@models.post("/settings/models")
@needs(Level.WRITE)
def make() -> Response:
    """Creates a model. Its key is stored encrypted and never shown."""
    kept, who = KeptSecrets("model new", SECRETS), caller()
    form = kept.put_back(filled(*FIELDS))
    try:
        kept.check()
        values = shaped(ModelIn, form).model_dump()
        made = services().models.create(who.tenant_id, values, Author(who.actor, who.is_operator))
    except ReveilleError as error:
        shown = {"given": kept.without(form), "kept": kept.sealed(form)}
        return _page(error.status, errors=wrong_fields(error), **shown)
    return done("/settings/models", f"{made.name} was created.")


@models.get("/settings/models/<model_id>/edit")
@needs(Level.READ)
def edit(model_id: str) -> Response:
    """Shows the form with the model's values, without its key."""
    model = _model(model_id)
    return _edit(model, {name: model.get(name) for name in FIELDS if name != "key"})


@models.post("/settings/models/<model_id>/edit")
@needs(Level.WRITE)
def change(model_id: str) -> Response:
    """Changes a model. An empty key keeps the old one."""
    kept = KeptSecrets(f"model {_id(model_id)}", SECRETS)
    form = kept.put_back({name: request.form.get(name, "").strip() for name in FIELDS if name in request.form})
    patch = {
        name: value if name in NEVER_EMPTY else value or None
        for name, value in form.items()
        if value or name in NULL_WHEN_EMPTY | NEVER_EMPTY
    }
    try:
        kept.check()
        if request.form.get(DO) == "keep":
            return _edit(_model(model_id), kept.without(form), kept=kept.sealed(form))
        name = _change(model_id, shaped(ModelPatch, patch))
    except ReveilleError as error:
        return _edit(_model(model_id), kept.without(form), error, kept.sealed(form))
    return done("/settings/models", f"{name} was saved.")


@models.post("/settings/models/<model_id>/enable")
@needs(Level.WRITE)
def enable(model_id: str) -> Response:
    """Enables or disables a model. Runs that need a disabled one are skipped and can be replayed."""
    on = request.form.get("on") == "1"
    name = _change(model_id, ModelPatch(is_enabled=on))
    return done("/settings/models", f"{name} was {'enabled' if on else 'disabled'}.")


@models.post("/settings/models/<model_id>/test")
@needs(Level.WRITE)
def test(model_id: str) -> Response:
    """Asks a model a test question and shows the result."""
    who = caller()
    tested = services().models.test(who.tenant_id, _id(model_id), actor=who.actor)
    trial = tested.trial
    if trial.error is not None:
        return done("/settings/models", f"Test failed: {trial.error}")
    tokens = f"{trial.tokens_in} input and {trial.tokens_out} output tokens"
    return done("/settings/models", f"{tested.name} answered in {trial.seconds:.1f} s, using {tokens}.")


@models.post("/settings/models/<model_id>/delete")
@needs(Level.WRITE)
def delete(model_id: str) -> Response:
    """Deletes a model that no agent needs."""
    who = caller()
    services().models.delete(who.tenant_id, _id(model_id), actor=who.actor)
    return done("/settings/models", "The model was deleted.")


def _id(model_id: str) -> UUID:
    return parse_id(model_id, "model")


def _model(model_id: str) -> dict[str, Any]:
    return model_out(services().models.get(caller().tenant_id, _id(model_id))).model_dump(mode="json")


def _change(model_id: str, patch: ModelPatch) -> str:
    """Changes the model and returns its name."""
    who = caller()
    author = Author(who.actor, who.is_operator)
    row = services().models.update(who.tenant_id, _id(model_id), given(patch), author)
    return str(row.name)


def _edit(
    model: dict[str, Any],
    given: dict[str, Any],
    error: ReveilleError | None = None,
    kept: Mapping[str, str] | None = None,
) -> Response:
    return render(
        "model.html",
        error.status if error else 200,
        model=model,
        given=given,
        kept=kept or {},
        errors=wrong_fields(error) if error else {},
        providers=PROVIDERS,
    )


def _page(status: int = 200, **values: Any) -> Response:
    tenant_id = caller().tenant_id
    with services().db.begin() as conn:
        asked = read_filters(conn, tenant_id, FILTERS) if request.method == "GET" else RequestFilters(FILTERS)
        wanted = ModelFilter(asked.get("q"), STATES.get(asked.get("state")), asked.span)
        page = asked.page(lambda **span: list_models(conn, tenant_id, wanted, **span))
    return render(
        "models.html",
        max(status, asked.status),
        page=page,
        providers=PROVIDERS,
        asked=asked,
        **({"errors": {}, "given": {}, "kept": {}} | values),
    )
