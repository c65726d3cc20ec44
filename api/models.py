"""Models, and what agents spent on them."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Response
from sqlalchemy import Connection, Row

from api.auth import Caller, Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page, problems
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
from config.settings import read_variable
from scheduler.domain.errors import Forbidden, InvalidField
from scheduler.domain.thinking import ModelSpec, Provider
from scheduler.domain.turns import Turns
from scheduler.net.client import GuardedClient
from scheduler.net.policy import origin_of
from scheduler.net.requests import check_address
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.models import (
    check_unused,
    create_model,
    delete_model,
    get_model,
    list_models,
    spec_of,
    update_model,
)
from scheduler.storage.tenants import get_tenant
from scheduler.storage.usage import usage_by_day, usage_by_trigger

if TYPE_CHECKING:
    from scheduler.runtimes.llm.trial import Trial

models = blueprint("models", "What agents of the runtime llm think with.")

SHOWN_TEXT = 200
_tests = Turns("models are being tested")
"""Each holds a thread of this process for up to 20 s."""


@models.post("/models", responses={201: ModelOut, **CHANGES})
@needs(Level.WRITE)
def make_model(body: ModelIn) -> Response:
    """Make a model. Its key is kept encrypted and never shown."""
    who = caller()
    values = body.model_dump()
    _check(who, values, values)
    with services().db.begin() as conn:
        get_tenant(conn, who.tenant_id, keep=True)
        row = create_model(conn, who.tenant_id, _columns(values))
        _audit(conn, "created", row, name=row.name)
    return answer(_show(row), 201, location=f"/models/{row.id}")


@models.get("/models", responses={200: ModelPage})
@needs(Level.READ)
def show_models(query: Page) -> Response:
    """List models, newest first."""
    with services().db.begin() as conn:
        rows = list_models(conn, caller().tenant_id, **one_more(query))
    return page(ModelPage, [_show(row) for row in rows], query)


@models.get("/models/<model_id>", responses={200: ModelOut})
@needs(Level.READ)
def show_model(path: ModelPath) -> Response:
    """Show a model."""
    with services().db.begin() as conn:
        return answer(_show(get_model(conn, caller().tenant_id, path.model_id)))


@models.patch("/models/<model_id>", responses={200: ModelOut, **CHANGES})
@needs(Level.WRITE)
def change_model(path: ModelPath, body: ModelPatch) -> Response:
    """Change a model. Its key stays with its address: for another one, give the key again."""
    who = caller()
    patch = given(body)
    with services().db.begin() as conn:
        row = get_model(conn, who.tenant_id, path.model_id, lock=True)
        whole = {**row._mapping, **_exclusive(patch)}  # noqa: SLF001  # public in all but name
        _check(who, whole, patch)
        _check_key_stays(row, whole, patch)
        patch = {name: value for name, value in patch.items() if name == "key" or getattr(row, name) != value}
        if patch:
            row = update_model(conn, row.id, _columns(_exclusive(patch)))
            _audit(conn, "updated", row, fields=sorted(patch))
    return answer(_show(row))


@models.delete("/models/<model_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.WRITE)
def remove_model(path: ModelPath) -> Response:
    """Delete a model that no agent thinks with; 409 names those that do."""
    with services().db.begin() as conn:
        row = get_model(conn, caller().tenant_id, path.model_id, lock=True)
        check_unused(conn, row)
        delete_model(conn, row.id)
        _audit(conn, "deleted", row, name=row.name)
    return no_content()


@models.post("/models/<model_id>/test", responses={200: ModelTestedOut, **CHANGES, **problems(429)})
@needs(Level.WRITE)
def test_model(path: ModelPath) -> Response:
    """Ask a model one short question, at once, and tell what came of it. A disabled one can be tested, too."""
    with services().db.begin() as conn:
        row = get_model(conn, caller().tenant_id, path.model_id)
    spec = spec_of(row, services().box)
    with _tests.take(caller().tenant_id):
        tried: Trial = asyncio.run(_ask(spec))
    with services().db.begin() as conn:
        _audit(conn, "tested", row, name=row.name, ok=tried.error is None)
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
    """Show what an agent spent, by day and by trigger."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    since = (services().clock.now() - timedelta(days=query.days)).date()
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id)
        days = usage_by_day(conn, path.agent_id, since)
        triggers = usage_by_trigger(conn, path.agent_id, query.days)
    return answer(UsageOut.model_validate({"days": days, "triggers": triggers}, from_attributes=True))


async def _ask(spec: ModelSpec) -> Trial:
    # The libraries take a second to load and 40 to 90 MB to hold: only a process that tests a model has them.
    library = await asyncio.to_thread(importlib.import_module, "scheduler.runtimes.llm.trial")
    async with GuardedClient(allow_private=services().allow_private) as client:
        tried: Trial = await library.try_model(spec, client, read_variable)
    return tried


def _exclusive(patch: Mapping[str, Any]) -> dict[str, Any]:
    """A new key takes the place of a variable, and the other way round."""
    if patch.get("key") is not None and "key_env" not in patch:
        return {**patch, "key_env": None}
    if patch.get("key_env") is not None and "key" not in patch:
        return {**patch, "key": None}
    return dict(patch)


def _check(who: Caller, whole: Mapping[str, Any], patch: Mapping[str, Any]) -> None:
    """What a model as a whole must be. Raises InvalidField, and Forbidden for what only the operator decides."""
    if whole["key"] is not None and whole["key_env"] is not None:
        raise InvalidField("Give one of key and key_env.", field="key_env")
    if whole["provider"] == Provider.OPENAI_COMPATIBLE and whole["base_url"] is None:
        raise InvalidField("An openai-compatible model needs the address of its server.", field="base_url")
    if patch.get("base_url") is not None:
        check_address(patch["base_url"], "base_url", services().allow_private)
    # Else a tenant could have the operator's key sent to an address of its own.
    if whole["key_env"] is not None and not who.is_operator and patch.keys() & {"key_env", "base_url", "provider"}:
        raise Forbidden("Only an operator's key may name a variable, or change where its content is sent.")
    if (whole["key_env"] or "").startswith("REVEILLE_") or whole["key_env"] == "DATABASE_URL":
        raise InvalidField("key_env names a variable of Reveille's own.", field="key_env")


def _check_key_stays(row: Row[Any], whole: Mapping[str, Any], patch: Mapping[str, Any]) -> None:
    """Whoever may change a model may not therefore read its key, by having it sent elsewhere."""
    if row.key is None or "key" in patch or whole["key"] is None:
        return
    moved = [origin_of(url) if url else None for url in (row.base_url, whole["base_url"])]
    if moved[0] != moved[1] or whole["provider"] != row.provider:
        raise InvalidField(
            "Another host or provider is not given the old key: give key again, or null.", field="key"
        )


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    if values.get("key") is None:
        return dict(values)
    return {**values, "key": services().box.encrypt(values["key"])}


def _show(row: Row[Any]) -> ModelOut:
    return ModelOut.model_validate({**row._mapping, "has_key": row.key is not None})  # noqa: SLF001  # as above


def _audit(conn: Connection, verb: str, row: Row[Any], **detail: object) -> None:
    record_events(conn, [Event(f"model.{verb}", row.tenant_id, row.id, None, caller().actor, detail)])
