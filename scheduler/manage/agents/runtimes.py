"""Checks and stores an agent's runtime and limits, within those of its tenant and what the operator allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Connection

from scheduler.domain.errors import ConfigurationError, InvalidField, NotFound
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.json_values import merge_patch
from scheduler.manage.agents.remotes import check_count
from scheduler.net.policy import origin_of
from scheduler.runtimes.base import Operator, RuntimeConfig
from scheduler.runtimes.registry import RUNTIME, fields_of, runtime_of
from scheduler.storage.models import get_model
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.tenants import Tenant

CEILINGS = {"max_triggers": "default_max_triggers", "webhook_rate_limit": "max_webhook_rate"}
FLOORS = {"min_poll_interval_min": "min_poll_interval_min"}


@dataclass(frozen=True, slots=True)
class StoredRuntime:
    """A runtime as columns of `agents`, and its new secrets, which are shown only this once."""

    columns: dict[str, Any]
    new_secrets: Mapping[str, Any] = field(default_factory=dict)


def limit_columns(values: Mapping[str, Any], tenant: Tenant) -> dict[str, Any]:
    """Returns the limits in `values`, with the tenant's in place of null. Raises InvalidField for higher ones."""
    limits: dict[str, Any] = {}
    for name, tenants_name in (CEILINGS | FLOORS).items():
        if name not in values:
            continue
        bound = getattr(tenant, tenants_name)
        value = bound if values[name] is None else values[name]
        if name in CEILINGS and value > bound:
            raise InvalidField(f"{name} {value} exceeds the tenant's limit of {bound}.", field=name)
        if name in FLOORS and value < bound:
            raise InvalidField(f"{name} {value} is below the tenant's minimum of {bound}.", field=name)
        limits[name] = value
    return limits


def new_runtime(runtime: RuntimeConfig, operator: Operator) -> StoredRuntime:
    """Checks a runtime against what the operator allows. Raises InvalidField below `runtime`."""
    return _stored(runtime, operator, {}, None, runtime.shown_once)


def check_models(conn: Connection, tenant_id: UUID, runtime: StoredRuntime) -> None:
    """Raises InvalidField when a runtime names a model that the tenant does not have."""
    for name in fields_of(runtime.columns["runtime_kind"], "models"):
        model_id = runtime.columns["runtime"].get(name)
        try:
            if model_id is not None:
                get_model(conn, tenant_id, UUID(model_id), lock=True)
        except NotFound as error:
            raise InvalidField(error.message, field=f"runtime.{name}") from None


def patched_runtime(agent: Agent, patch: Mapping[str, Any], operator: Operator) -> StoredRuntime:
    """Merges `patch` into the agent's runtime, or replaces it when the kind changes.

    A secret stays unless the patch has a new one or null; headers that the patch does not name stay. Raises
    InvalidField below `runtime`.
    """
    is_same = patch.get("kind", agent.runtime_kind) == agent.runtime_kind
    held = _held(agent, patch, operator) if is_same else {}
    whole = _merged(agent, held, patch) if is_same else dict(patch)
    try:
        runtime = RUNTIME.validate_python(whole)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error, ("runtime",))) from None
    if is_same:
        _check_same_host(runtime, agent, _kept(held, patch))
    return _stored(runtime, operator, held, agent.runtime_secret if is_same else None, patch)


def _merged(agent: Agent, held: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the runtime after the patch (RFC 7396), with some fields replaced as a whole."""
    replaced = {name: patch[name] for name in runtime_of(agent.runtime_kind).whole if name in patch}
    kept = {name: value for name, value in agent.runtime.items() if name not in replaced}
    rest = {name: value for name, value in patch.items() if name not in replaced}
    return merge_patch({"kind": agent.runtime_kind, **kept, **held}, rest) | replaced


def _held(agent: Agent, patch: Mapping[str, Any], operator: Operator) -> dict[str, Any]:
    """Returns the agent's stored secrets, without those that cannot be decrypted, which must all be given again."""
    runtime = runtime_of(agent.runtime_kind)
    if agent.runtime_secret is None or not runtime.secrets:
        return {}
    try:
        return {name: value for name, value in _opened(agent, operator).items() if value}
    except ConfigurationError:
        if set(runtime.secrets) <= set(patch):
            return {}
        raise


def _opened(agent: Agent, operator: Operator) -> dict[str, Any]:
    assert agent.runtime_secret is not None  # noqa: S101  # who asks has looked
    return runtime_of(agent.runtime_kind).unpack(operator.box.decrypt(agent.runtime_secret))


def _kept(held: Mapping[str, Any], patch: Mapping[str, Any]) -> list[str]:
    """Returns the names of secrets of which any part is kept."""
    return [name for name, value in held.items() if name not in patch or _rest(value, patch[name])]


def _rest(value: object, patch: object) -> bool:
    """Whether an object secret has members that its patch does not name, ignoring case."""
    if not (isinstance(value, Mapping) and isinstance(patch, Mapping)):
        return False
    return bool({name.lower() for name in value} - {name.lower() for name in patch})


def _check_same_host(runtime: RuntimeConfig, agent: Agent, kept: list[str]) -> None:
    """Refuses to send stored secrets to another host: changing an agent must not reveal them."""
    lost = [name for name in kept if name in runtime.sent_along]
    url = getattr(runtime, "url", None)
    if lost and isinstance(url, str) and origin_of(agent.runtime["url"]) != origin_of(url):
        raise InvalidField(
            f"The url is on another host, to which stored secrets are not sent: {' and '.join(lost)}; give "
            "them again, or null.",
            field="runtime.url",
        )


def _stored(
    runtime: RuntimeConfig,
    operator: Operator,
    held: Mapping[str, Any],
    sealed: bytes | None,
    given: Collection[str],
) -> StoredRuntime:
    """Returns the columns of an allowed runtime; encrypted values stay as they are when nothing in them is new.

    Secrets that are `given` or generated are shown.
    """
    runtime = runtime.completed()
    runtime.check(operator)
    _check_commands(runtime, operator)
    secrets = {name: value for name in runtime.secrets if (value := getattr(runtime, name))}
    for name, value in secrets.items():
        if isinstance(value, Mapping):
            check_count(dict(value), f"runtime.{name}")
    if not secrets:
        sealed = None
    elif secrets != held or sealed is None:
        sealed = operator.box.encrypt(runtime.pack(secrets))
    settings = runtime.model_dump(mode="json", exclude={"kind", *runtime.secrets}, exclude_none=True)
    is_new = [name for name in runtime.shown_once if name in given or secrets.get(name) != held.get(name)]
    shown = {name: secrets[name] for name in is_new if name in secrets}
    return StoredRuntime(
        {"runtime_kind": runtime.kind_name(), "runtime": settings, "runtime_secret": sealed}, shown
    )


def _check_commands(runtime: RuntimeConfig, operator: Operator) -> None:
    for name in fields_of(runtime.kind_name(), "commands"):
        if getattr(runtime, name) not in operator.commands:
            names = ", ".join(sorted(operator.commands)) or "none"
            raise InvalidField(
                f"The operator allows no command with that name (REVEILLE_COMMANDS); allowed: {names}.",
                field=f"runtime.{name}",
            )
