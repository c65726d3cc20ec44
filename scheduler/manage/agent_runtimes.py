"""What of an agent depends on its tenant and on what the operator allows, beyond the shape of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection, Row

from scheduler.domain.errors import InvalidField, NotFound
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.model import RuntimeKind
from scheduler.domain.signatures import new_standard_secret
from scheduler.domain.signatures.standard_webhooks import StandardWebhooks
from scheduler.manage.agent_remotes import Operator, a2a_columns, patched_a2a_columns
from scheduler.manage.runtime_shapes import RUNTIME, A2aRuntime, AnyRuntime, CommandRuntime, LlmRuntime
from scheduler.net.request_checks import check_address
from scheduler.storage.models import get_model
from scheduler.triggers.base import merge_patch

CEILINGS = {"max_triggers": "default_max_triggers", "webhook_rate_limit": "max_webhook_rate"}
FLOORS = {"min_poll_interval_min": "min_poll_interval_min"}


@dataclass(frozen=True, slots=True)
class StoredRuntime:
    """A runtime as columns of `agents`, and its secret when it is new: to be shown this once."""

    columns: dict[str, Any]
    new_secret: str | None = None


def limit_columns(values: Mapping[str, Any], tenant: Row[Any]) -> dict[str, Any]:
    """The limits in `values` within the tenant's, which take the place of null. Raises InvalidField."""
    limits: dict[str, Any] = {}
    for name, tenants_name in (CEILINGS | FLOORS).items():
        if name not in values:
            continue
        bound = getattr(tenant, tenants_name)
        value = bound if values[name] is None else values[name]
        if name in CEILINGS and value > bound:
            raise InvalidField(f"{name} {value} is over the tenant's limit of {bound}.", field=name)
        if name in FLOORS and value < bound:
            raise InvalidField(f"{name} {value} is under the tenant's least value of {bound}.", field=name)
        limits[name] = value
    return limits


def new_runtime(runtime: AnyRuntime, operator: Operator) -> StoredRuntime:
    """Check a runtime against what the operator allows. Raises InvalidField below `runtime`."""
    if isinstance(runtime, CommandRuntime):
        _check_command(runtime.name, operator)
        return StoredRuntime(_columns("command", {"name": runtime.name}, None))
    if isinstance(runtime, A2aRuntime):
        return StoredRuntime(a2a_columns(runtime, operator))
    if isinstance(runtime, LlmRuntime):
        return StoredRuntime(_columns("llm", runtime.model_dump(mode="json", exclude={"kind"}), None))
    check_address(runtime.url, "runtime.url", operator.allow_private)
    secret = runtime.secret or new_standard_secret()
    _check_secret(secret)
    settings = runtime.model_dump(include={"url", "accepted"}, exclude_none=True)
    return StoredRuntime(_columns("http", settings, operator.box.encrypt(secret)), secret)


def check_models(conn: Connection, tenant_id: UUID, runtime: StoredRuntime) -> None:
    """Raise InvalidField where an llm runtime names a model that the tenant has not."""
    if runtime.columns["runtime_kind"] != RuntimeKind.LLM:
        return
    for name in ("model_id", "fallback_model_id"):
        model_id = runtime.columns["runtime"].get(name)
        try:
            if model_id is not None:
                get_model(conn, tenant_id, UUID(model_id), lock=True)
        except NotFound as error:
            raise InvalidField(error.message, field=f"runtime.{name}") from None


def patched_runtime(agent: Row[Any], patch: Mapping[str, Any], operator: Operator) -> StoredRuntime:
    """Merge `patch` into the agent's runtime, or take it alone when it is of another kind.

    A secret stays unless a new one is given, or null, which makes one. Raises InvalidField below `runtime`.
    """
    same_kind = patch.get("kind", agent.runtime_kind) == agent.runtime_kind
    whole = merge_patch({"kind": agent.runtime_kind, **agent.runtime}, patch) if same_kind else dict(patch)
    try:
        runtime = RUNTIME.validate_python(whole)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error, ("runtime",))) from None
    if isinstance(runtime, A2aRuntime) and same_kind:
        return StoredRuntime(patched_a2a_columns(runtime, patch, agent, operator))
    stored = new_runtime(runtime, operator)
    if same_kind and "secret" not in patch and agent.runtime_secret is not None:
        return StoredRuntime(stored.columns | {"runtime_secret": agent.runtime_secret})
    return stored


def _columns(kind: str, runtime: dict[str, Any], secret: bytes | None) -> dict[str, Any]:
    return {"runtime_kind": kind, "runtime": runtime, "runtime_secret": secret}


def _check_command(name: str, operator: Operator) -> None:
    allowed = operator.commands
    if name not in allowed:
        names = ", ".join(sorted(allowed)) or "none"
        raise InvalidField(
            f"The operator allows no command of that name (REVEILLE_COMMANDS); allowed: {names}.",
            field="runtime.name",
        )


def _check_secret(secret: str) -> None:
    try:
        StandardWebhooks().key(secret)
    except ValueError as error:
        raise InvalidField(f"runtime.secret {error}.", field="runtime.secret") from None
