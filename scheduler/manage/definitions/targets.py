"""Definitions of notification targets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select

from scheduler.domain.errors import InvalidField
from scheduler.manage.definitions.compare import keep
from scheduler.manage.definitions.shapes import (
    TARGET,
    Doc,
    FieldChange,
    StoredDefinition,
    WantedDefinition,
    as_json,
)
from scheduler.manage.definitions.unit_of_work import Kind, NewObject
from scheduler.manage.notification_targets import TARGETS, TargetSpec
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.notifications import NotificationTarget

SECRETS = frozenset({"url", "secret"})


class Targets(Kind):
    """Notification targets of agents."""

    name: ClassVar = TARGET

    def read(self) -> list[StoredDefinition]:
        """Returns the tenant's targets."""
        query = select(TARGETS).where(NotificationTarget.tenant_id == self.work.tenant.id)
        names = {id_: name for name, id_ in self.work.agent_ids.items()}
        found = rows_as(NotificationTarget, self.work.conn.execute(query.order_by(NotificationTarget.id)))
        return [
            StoredDefinition(row.id, names[row.agent_id], row.name, self._doc(row), row)
            for row in found
            if row.agent_id in names
        ]

    def _doc(self, row: NotificationTarget) -> Doc:
        return {"name": row.name, "kind": row.kind, **json.loads(self.work.operator.box.decrypt(row.secrets))}

    def is_secret(self, path: str) -> bool:
        """Its URL is enough to write there."""
        return path in SECRETS

    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the definition; a secret that is not given stays."""
        doc: Doc = as_json(dict(wanted.fields)) | {"name": wanted.name}
        stored = None if held is None else held.doc
        for path, why in wanted.kept.items():
            keep(doc, path, why, stored)
        if stored is not None and doc.get("secret") is None and doc["kind"] == stored["kind"]:
            doc["secret"] = stored["secret"]
        if doc.get("url") is None:
            raise InvalidField("It is missing", field="url")
        return doc

    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates targets one by one: an agent has few."""
        made = []
        for wanted, doc in new:
            with self.work.errors.at(wanted.place):
                agent_id = self.work.agent_ids[wanted.agent or ""]
                created = self.work.services.targets.create(
                    self.work.tenant.id, agent_id, _spec(doc), actor=self.work.actor
                )
                is_generated = created.secret is not None and not doc.get("secret")
                shown = {"secret": str(created.secret)} if is_generated else {}
                made.append((wanted, NewObject(created.row.id, doc, shown)))
        return made

    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Replaces its settings; what it delivered stays."""
        self.work.services.targets.update(self.work.tenant.id, held.id, _spec(desired), actor=self.work.actor)
        return {}

    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes targets in one go."""
        ids = [each.id for each in held]
        self.work.services.targets.delete_all(self.work.tenant.id, ids, actor=self.work.actor)
        return {}


def _spec(doc: Doc) -> TargetSpec:
    return TargetSpec(doc["name"], doc["kind"], doc["url"], doc.get("secret"))
