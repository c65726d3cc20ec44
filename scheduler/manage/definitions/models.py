"""Definitions of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select

from scheduler.domain.errors import Conflict
from scheduler.manage.definitions.compare import keep
from scheduler.manage.definitions.shapes import (
    MODEL,
    Doc,
    FieldChange,
    StoredDefinition,
    WantedDefinition,
    as_json,
)
from scheduler.manage.definitions.unit_of_work import Kind, NewObject
from scheduler.storage.models import MODELS
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.tenants import Model

FIELDS = (
    "name", "provider", "model", "base_url", "key_env", "is_enabled", "max_output_tokens", "input_price",
    "output_price",
)  # fmt: skip
SECRETS = frozenset({"key"})


class Models(Kind):
    """Models, with their keys."""

    name: ClassVar = MODEL

    def read(self) -> list[StoredDefinition]:
        """Returns the tenant's models."""
        found = rows_as(
            Model, self.work.conn.execute(select(MODELS).where(Model.tenant_id == self.work.tenant.id))
        )
        return [StoredDefinition(row.id, None, row.name, self._doc(row), row) for row in found]

    def _doc(self, row: Model) -> Doc:
        doc: Doc = {name: as_json(getattr(row, name)) for name in FIELDS}
        if row.key is not None:
            doc["key"] = self.work.operator.box.decrypt(row.key)
        return doc

    def is_secret(self, path: str) -> bool:
        """The key is."""
        return path in SECRETS

    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the definition; a key that is not given stays, unless a variable takes its place."""
        doc: Doc = as_json(dict(wanted.fields)) | {"name": wanted.name}
        stored = None if held is None else held.doc
        for path, why in wanted.kept.items():
            keep(doc, path, why, stored)
        if stored is not None and doc.get("key") is None and doc.get("key_env") is None and "key" in stored:
            doc["key"] = stored["key"]
        return doc

    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates models one by one: there are few."""
        made = []
        for wanted, doc in new:
            with self.work.errors.at(wanted.place):
                values = {"key": None, **wanted.fields, "name": wanted.name}
                row = self.work.services.models.create(self.work.tenant.id, values, self.work.author)
                made.append((wanted, NewObject(row.id, doc)))
        return made

    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Changes the fields that differ."""
        given = {**wanted.fields, "name": wanted.name, "key": desired.get("key")}
        patch = {change.path: given[change.path] for change in changes}
        self.work.services.models.update(self.work.tenant.id, held.id, patch, self.work.author)
        return {}

    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes models that no agent uses, one by one: there are few."""
        stay: dict[UUID, str] = {}
        for each in held:
            try:
                self.work.services.models.delete(self.work.tenant.id, each.id, actor=self.work.actor)
            except Conflict as error:
                stay[each.id] = error.message
        return stay

    def learn(self, held: Sequence[StoredDefinition]) -> None:
        """Notes the ids, which agents refer to by name."""
        self.work.model_ids = {each.name: each.id for each in held}
