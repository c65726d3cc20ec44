"""The operations on models: validation, who may use which key, and tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Forbidden, InvalidField
from scheduler.domain.llm import ModelSpec, ModelTrial, Provider
from scheduler.domain.thread_quota import ThreadQuota
from scheduler.net.headers import check_address
from scheduler.net.policy import AllowedPrivate, origin_of
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.models import (
    check_unused,
    create_model,
    delete_model,
    get_model,
    list_models,
    spec_of,
    update_model,
)
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.tenants import Model
from scheduler.storage.tenants import get_tenant


@dataclass(frozen=True, slots=True)
class Author:
    """Who creates or changes a model. Only an operator may name a variable of the server."""

    actor: str
    is_operator: bool = False


@dataclass(frozen=True, slots=True)
class TestedModel:
    """A model and the result of a test question."""

    name: str
    trial: ModelTrial


class Models:
    """The operations on models. Every change is one transaction and writes an audit event."""

    def __init__(
        self, db: Database, box: SecretBox, allow_private: AllowedPrivate, ask: Callable[[ModelSpec], ModelTrial]
    ) -> None:
        """`ask` sends a short question to a model and waits for the answer."""
        self._db = db
        self._box = box
        self._allow_private = allow_private
        self._ask = ask
        # Each test occupies a thread of this process for up to 20 s.
        self._turns = ThreadQuota("models are being tested")

    def create(self, tenant_id: UUID, values: Mapping[str, Any], author: Author) -> Model:
        """Creates a model. Raises InvalidField, Forbidden, NotFound for the tenant, or Conflict for its name."""
        self._check(author, values, values)
        with self._db.begin() as conn:
            get_tenant(conn, tenant_id, keep=True)
            row = create_model(conn, tenant_id, self._columns(values))
            _audit(conn, "created", row, author.actor, name=row.name)
        return row

    def get(self, tenant_id: UUID, model_id: UUID) -> Model:
        """Returns one model. Raises NotFound."""
        with self._db.begin() as conn:
            return get_model(conn, tenant_id, model_id)

    def list(self, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[Model]:
        """Lists models, newest first."""
        with self._db.begin() as conn:
            return list_models(conn, tenant_id, limit=limit, after=after)

    def update(self, tenant_id: UUID, model_id: UUID, patch: Mapping[str, Any], author: Author) -> Model:
        """Changes fields.

        A stored key cannot move to another address. Raises NotFound, InvalidField, Forbidden, Conflict.
        """
        with self._db.begin() as conn:
            row = get_model(conn, tenant_id, model_id, lock=True)
            whole = {**row.columns(), **_exclusive(patch)}
            self._check(author, whole, patch)
            _check_key_stays(row, whole, patch)
            changed = {
                name: value
                for name, value in patch.items()
                if name == "key" or not _is_same(getattr(row, name), value)
            }
            if changed:
                row = update_model(conn, row.id, self._columns(_exclusive(changed)))
                _audit(conn, "updated", row, author.actor, fields=sorted(changed))
        return row

    def delete(self, tenant_id: UUID, model_id: UUID, *, actor: str) -> None:
        """Deletes a model. Raises NotFound, or Conflict with the names of the agents that use it."""
        with self._db.begin() as conn:
            row = get_model(conn, tenant_id, model_id, lock=True)
            check_unused(conn, row)
            delete_model(conn, row.id)
            _audit(conn, "deleted", row, actor, name=row.name)

    def test(self, tenant_id: UUID, model_id: UUID, *, actor: str) -> TestedModel:
        """Sends a model a short question, whether it is enabled or not. Raises NotFound, LimitReached."""
        row = self.get(tenant_id, model_id)
        spec = spec_of(row, self._box)
        with self._turns.take(tenant_id):
            trial = self._ask(spec)
        with self._db.begin() as conn:
            _audit(conn, "tested", row, actor, name=row.name, ok=trial.error is None)
        return TestedModel(row.name, trial)

    def _check(self, author: Author, whole: Mapping[str, Any], patch: Mapping[str, Any]) -> None:
        """Validates a model as a whole. Raises InvalidField, and Forbidden for settings reserved to an operator."""
        if whole["key"] is not None and whole["key_env"] is not None:
            raise InvalidField("Give one of key and key_env.", field="key_env")
        if whole["provider"] == Provider.OPENAI_COMPATIBLE and whole["base_url"] is None:
            raise InvalidField("An openai-compatible model needs the address of its server.", field="base_url")
        if patch.get("base_url") is not None:
            check_address(patch["base_url"], "base_url", self._allow_private)
        # Otherwise a tenant could send the operator's key to an address of its own.
        is_moved = bool(patch.keys() & {"key_env", "base_url", "provider"})
        if whole["key_env"] is not None and not author.is_operator and is_moved:
            raise Forbidden("Only an operator's key may name a variable, or change where its value is sent.")
        if (whole["key_env"] or "").startswith("REVEILLE_") or whole["key_env"] == "DATABASE_URL":
            raise InvalidField("key_env names one of Reveille's own variables.", field="key_env")

    def _columns(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if values.get("key") is None:
            return dict(values)
        return {**values, "key": self._box.encrypt(values["key"])}


def _exclusive(patch: Mapping[str, Any]) -> dict[str, Any]:
    """A new key replaces a variable, and vice versa."""
    if patch.get("key") is not None and "key_env" not in patch:
        return {**patch, "key_env": None}
    if patch.get("key_env") is not None and "key" not in patch:
        return {**patch, "key": None}
    return dict(patch)


def _check_key_stays(row: Model, whole: Mapping[str, Any], patch: Mapping[str, Any]) -> None:
    """Refuses to send a stored key to another host: changing a model must not reveal its key."""
    if row.key is None or "key" in patch or whole["key"] is None:
        return
    moved = [origin_of(url) if url else None for url in (row.base_url, whole["base_url"])]
    if moved[0] != moved[1] or whole["provider"] != row.provider:
        raise InvalidField(
            "The stored key is not sent to another host or provider: give key again, or null.", field="key"
        )


def _is_same(held: object, value: object) -> bool:
    # Prices are stored as decimals, and 0.15 is not a binary fraction.
    return (float(held) if isinstance(held, Decimal) else held) == value


def _audit(conn: Connection, verb: str, row: Model, actor: str, **detail: object) -> None:
    record_events(conn, [Event(f"model.{verb}", row.tenant_id, row.id, None, actor, detail)])
