"""Models: what agents of the runtime `llm` think with."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.auth import Level, caller, needs
from api.models import change_model, make_model, remove_model, show_model, test_model
from api.schemas.models import ModelIn, ModelPatch, ModelPath
from api.services import services
from api.web.base import done, page_blueprint, paged, render
from api.web.shapes import filled, shaped, wrong_fields
from scheduler.domain.errors import ReveilleError
from scheduler.domain.thinking import Provider
from scheduler.storage.models import get_model, list_models

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

NULL_WHEN_EMPTY = frozenset({"base_url", "key_env", "max_output_tokens"})

models = page_blueprint("models")


@models.get("/settings/models")
@needs(Level.READ)
def show_models() -> Response:
    """List models, newest first, with a form for another."""
    return _page()


@models.post("/settings/models")
@needs(Level.WRITE)
def make() -> Response:
    """Make a model. Its key is kept encrypted and shown to nobody."""
    given = filled(*FIELDS)
    try:
        name = make_model(shaped(ModelIn, given)).get_json()["name"]
    except ReveilleError as error:
        given.pop("key", None)
        return _page(error.status, errors=wrong_fields(error), given=given)
    return done("/settings/models", f"{name} was created.")


@models.get("/settings/models/<model_id>/edit")
@needs(Level.READ)
def edit(model_id: str) -> Response:
    """The form as the model is; its key is not shown."""
    model = show_model(_path(model_id)).get_json()
    return _edit(model, {name: model.get(name) for name in FIELDS if name != "key"})


@models.post("/settings/models/<model_id>/edit")
@needs(Level.WRITE)
def change(model_id: str) -> Response:
    """Change a model. A key that is left empty stays."""
    form = {name: request.form.get(name, "").strip() for name in FIELDS if name in request.form}
    patch = {name: value or None for name, value in form.items() if value or name in NULL_WHEN_EMPTY}
    try:
        name = change_model(_path(model_id), shaped(ModelPatch, patch)).get_json()["name"]
    except ReveilleError as error:
        form.pop("key", None)
        return _edit(show_model(_path(model_id)).get_json(), form, error)
    return done("/settings/models", f"{name} was saved.")


@models.post("/settings/models/<model_id>/enable")
@needs(Level.WRITE)
def enable(model_id: str) -> Response:
    """Let agents use a model, or no more: what they would have thought with it is skipped, and kept for a replay."""
    on = request.form.get("on") == "1"
    name = change_model(_path(model_id), ModelPatch(is_enabled=on)).get_json()["name"]
    return done("/settings/models", f"{name} was {'enabled' if on else 'disabled'}.")


@models.post("/settings/models/<model_id>/test")
@needs(Level.WRITE)
def test(model_id: str) -> Response:
    """Ask a model one short question, and tell what came of it."""
    tested = test_model(_path(model_id)).get_json()
    with services().db.begin() as conn:
        name = get_model(conn, caller().tenant_id, _path(model_id).model_id).name
    seconds = f"{tested['latency_ms'] / 1000:.1f} s"
    tokens = f"{tested['tokens_in']} input and {tested['tokens_out']} output tokens"
    said = f"{name} answered in {seconds}, using {tokens}." if tested["ok"] else f"Test failed: {tested['error']}"
    return done("/settings/models", said)


@models.post("/settings/models/<model_id>/delete")
@needs(Level.WRITE)
def delete(model_id: str) -> Response:
    """Delete a model that no agent needs."""
    remove_model(_path(model_id))
    return done("/settings/models", "The model was deleted.")


def _path(model_id: str) -> ModelPath:
    return shaped(ModelPath, {"model_id": model_id})


def _edit(model: dict[str, Any], given: dict[str, Any], error: ReveilleError | None = None) -> Response:
    providers = [provider.value for provider in Provider]
    return render(
        "model.html",
        error.status if error else 200,
        model=model,
        given=given,
        errors=wrong_fields(error) if error else {},
        providers=providers,
    )


def _page(
    status: int = 200, *, errors: dict[str, str] | None = None, given: dict[str, Any] | None = None
) -> Response:
    with services().db.begin() as conn:
        page = paged(lambda **span: list_models(conn, caller().tenant_id, **span))
    providers = [provider.value for provider in Provider]
    return render("models.html", status, page=page, errors=errors or {}, given=given or {}, providers=providers)
