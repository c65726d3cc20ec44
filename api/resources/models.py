"""Models and their usage by agents."""

from __future__ import annotations

from datetime import timedelta

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import model_out
from api.resources.base import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page, problems
from api.schemas.agents import AgentPath
from api.schemas.base import Page
from api.schemas.models import (
    ModelIn,
    ModelOut,
    ModelPage,
    ModelPatch,
    ModelPath,
    ModelTestedOut,
    UsageOut,
    UsageQuery,
)
from api.services import services
from scheduler.manage.models import Author
from scheduler.storage.agents import get_agent
from scheduler.storage.usage import usage_by_day, usage_by_trigger

models = blueprint("models", "Language models for agents with the runtime llm.")

SHOWN_TEXT = 200


@models.post("/models", responses={201: ModelOut, **CHANGES})
@needs(Level.WRITE)
def make_model(body: ModelIn) -> Response:
    """Create a model. Its key is stored encrypted and never shown."""
    who = caller()
    row = services().models.create(who.tenant_id, body.model_dump(), Author(who.actor, who.is_operator))
    return answer(model_out(row), 201, location=f"/models/{row.id}")


@models.get("/models", responses={200: ModelPage})
@needs(Level.READ)
def show_models(query: Page) -> Response:
    """List models, newest first."""
    rows = services().models.list(caller().tenant_id, **one_more(query))
    return page(ModelPage, [model_out(row) for row in rows], query)


@models.get("/models/<model_id>", responses={200: ModelOut})
@needs(Level.READ)
def show_model(path: ModelPath) -> Response:
    """Show a model."""
    return answer(model_out(services().models.get(caller().tenant_id, path.model_id)))


@models.patch("/models/<model_id>", responses={200: ModelOut, **CHANGES})
@needs(Level.WRITE)
def change_model(path: ModelPath, body: ModelPatch) -> Response:
    """Change a model. Its key stays with its address: for another address, give the key again."""
    who = caller()
    author = Author(who.actor, who.is_operator)
    return answer(model_out(services().models.update(who.tenant_id, path.model_id, given(body), author)))


@models.delete("/models/<model_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.WRITE)
def remove_model(path: ModelPath) -> Response:
    """Delete a model that no agent uses; 409 names those that do."""
    who = caller()
    services().models.delete(who.tenant_id, path.model_id, actor=who.actor)
    return no_content()


@models.post("/models/<model_id>/test", responses={200: ModelTestedOut, **CHANGES, **problems(429)})
@needs(Level.WRITE)
def test_model(path: ModelPath) -> Response:
    """Ask a model a short test question now and return the result. A disabled one can be tested, too."""
    who = caller()
    tried = services().models.test(who.tenant_id, path.model_id, actor=who.actor).trial
    return answer(
        ModelTestedOut(
            ok=tried.error is None,
            latency_ms=round(tried.seconds * 1000),
            text=tried.text[:SHOWN_TEXT],
            tokens_in=tried.tokens_in,
            tokens_out=tried.tokens_out,
            error=tried.error,
        )
    )


@models.get("/agents/<agent_id>/usage", responses={200: UsageOut})
@needs(Level.READ, own=True)
def show_usage(path: AgentPath, query: UsageQuery) -> Response:
    """Show an agent's usage by day and by trigger."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    since = (services().clock.now() - timedelta(days=query.days)).date()
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id)
        days = usage_by_day(conn, path.agent_id, since)
        triggers = usage_by_trigger(conn, path.agent_id, query.days)
    return answer(UsageOut.model_validate({"days": days, "triggers": triggers}, from_attributes=True))
