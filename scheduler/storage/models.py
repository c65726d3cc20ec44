"""Stores the language models of a tenant's agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, text, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.llm import ModelSpec
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.tenants import Model

MODELS = Model.__table__
DUPLICATE = "There is already a model with that name; choose another."


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """What to leave of a tenant's models. `text`: part of the name, model or provider, in any case."""

    text: str | None = None
    is_enabled: bool | None = None
    span: Span = EVER
    """When they were created."""


EVERY_MODEL = ModelFilter()


def get_model(conn: Connection, tenant_id: UUID, model_id: UUID, *, lock: bool = False) -> Model:
    """Returns a tenant's model; raises NotFound. `lock` locks the row until commit."""
    statement = select(MODELS).where(Model.id == model_id, Model.tenant_id == tenant_id)
    row = row_as(Model, conn.execute(statement.with_for_update() if lock else statement))
    if row is None:
        raise NotFound(f"There is no model '{model_id}'.")
    return row


def list_models(
    conn: Connection, tenant_id: UUID, wanted: ModelFilter = EVERY_MODEL, *, limit: int, after: UUID | None = None
) -> Sequence[Model]:
    """Lists up to `limit` of a tenant's models, newest first, older than `after`."""
    statement = select(MODELS).where(Model.tenant_id == tenant_id)
    statement = within(statement, wanted.span, Model.created_at, Model.id)
    if wanted.text is not None:
        said = (each.icontains(wanted.text, autoescape=True) for each in (Model.name, Model.model, Model.provider))
        statement = statement.where(or_(*said))
    if wanted.is_enabled is not None:
        statement = statement.where(Model.is_enabled.is_(wanted.is_enabled))
    if after is not None:
        statement = statement.where(Model.id < after)
    return rows_as(Model, conn.execute(statement.order_by(Model.id.desc()).limit(limit)))


def create_model(conn: Connection, tenant_id: UUID, values: Mapping[str, Any]) -> Model:
    """Creates a model from column `values`. Raises Conflict if the name is taken."""
    with refuse_duplicate("uq_models_tenant_name", DUPLICATE):
        return one_as(Model, conn.execute(insert(Model).values(tenant_id=tenant_id, **values).returning(MODELS)))


def update_model(conn: Connection, model_id: UUID, values: Mapping[str, Any]) -> Model:
    """Updates columns of a model that the caller has locked. Raises Conflict if the name is taken."""
    with refuse_duplicate("uq_models_tenant_name", DUPLICATE):
        return one_as(
            Model,
            conn.execute(
                update(Model)
                .where(Model.id == model_id)
                .values(updated_at=func.clock_timestamp(), **values)
                .returning(MODELS)
            ),
        )


USERS = text("""
    SELECT name FROM agents
    WHERE tenant_id = :tenant_id AND deleted_at IS NULL
        AND EXISTS (SELECT FROM jsonb_each_text(runtime) WHERE value = :id)
    ORDER BY name
""")
MOST_NAMED = 10


def check_unused(conn: Connection, model: Model) -> None:
    """Raises Conflict with the names of the agents that use this model, which the caller has locked."""
    names = conn.scalars(USERS, {"tenant_id": model.tenant_id, "id": str(model.id)}).all()
    if names:
        left_out = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        raise Conflict(
            f"The model {model.name!r} is in use by {', '.join(names[:MOST_NAMED])}{left_out}: give these agents "
            "another model first, or disable this one.",
            field="model_id",
        )


def delete_model(conn: Connection, model_id: UUID) -> None:
    """Deletes a model."""
    conn.execute(delete(Model).where(Model.id == model_id))


def usable_models(conn: Connection, tenant_id: UUID, ids: Sequence[UUID], box: SecretBox) -> list[ModelSpec] | str:
    """Returns the enabled models among `ids`, in order, or a one-word reason why there is none.

    Raises ConfigurationError when an API key cannot be decrypted.
    """
    rows = {
        row.id: row
        for row in rows_as(
            Model, conn.execute(select(MODELS).where(Model.id.in_(ids), Model.tenant_id == tenant_id))
        )
    }
    usable = [spec_of(rows[each], box) for each in ids if each in rows and rows[each].is_enabled]
    return usable or ("model_disabled" if rows else "model_missing")


def spec_of(row: Model, box: SecretBox) -> ModelSpec:
    """Builds the specification of a model for a request.

    Raises ConfigurationError when its key cannot be decrypted.
    """
    return ModelSpec(
        name=row.name,
        provider=row.provider,
        model=row.model,
        base_url=row.base_url,
        key=None if row.key is None else box.decrypt(row.key),
        key_env=row.key_env,
        max_output_tokens=row.max_output_tokens,
        input_price=row.input_price,
        output_price=row.output_price,
    )
