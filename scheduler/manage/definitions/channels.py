"""Definitions of channels, through which people on a chat provider reach an agent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select

from scheduler.manage.definitions.compare import keep
from scheduler.manage.definitions.shapes import (
    CHANNEL,
    Doc,
    FieldChange,
    StoredDefinition,
    WantedDefinition,
    as_json,
)
from scheduler.manage.definitions.unit_of_work import Kind, NewObject
from scheduler.storage.channels import CHANNELS
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.messages import Channel

SECRETS = frozenset({"secrets"})


class Channels(Kind):
    """Channels of agents. Their names are unique in the tenant."""

    name: ClassVar = CHANNEL
    keeps: ClassVar = ("is_enabled",)

    def read(self) -> list[StoredDefinition]:
        """Returns the tenant's channels."""
        query = select(CHANNELS).where(Channel.tenant_id == self.work.tenant.id).order_by(Channel.id)
        names = {id_: name for name, id_ in self.work.agent_ids.items()}
        return [
            StoredDefinition(row.id, names[row.agent_id], row.name, self._doc(row), row)
            for row in rows_as(Channel, self.work.conn.execute(query))
            if row.agent_id in names
        ]

    def _doc(self, row: Channel) -> Doc:
        secrets = json.loads(self.work.operator.box.decrypt(row.secrets))
        fields = {"name": row.name, "kind": row.kind, "bot_user_id": row.bot_user_id, "is_enabled": row.is_enabled}
        return {**fields, "secrets": secrets}

    def is_secret(self, path: str) -> bool:
        """What signs the provider's events, and what calls the provider."""
        return path.split(".")[0] in SECRETS

    def desired(self, wanted: WantedDefinition, held: StoredDefinition | None) -> Doc:
        """Returns the definition; a secret that is not given stays."""
        doc: Doc = as_json(dict(wanted.fields)) | {"name": wanted.name}
        stored = None if held is None else held.doc
        for path, why in wanted.kept.items():
            keep(doc, path, why, stored)
        if doc["is_enabled"] is None:
            del doc["is_enabled"]
        if stored is not None and doc["kind"] == stored["kind"]:
            doc["secrets"] = {**stored["secrets"], **doc["secrets"]}
        doc["secrets"] = {name: value for name, value in doc["secrets"].items() if value is not None}
        return doc

    def create(self, new: Sequence[tuple[WantedDefinition, Doc]]) -> list[tuple[WantedDefinition, NewObject]]:
        """Creates channels one by one: there are few."""
        made = []
        for wanted, doc in new:
            with self.work.errors.at(wanted.place):
                values = {**doc, "agent_id": self.work.agent_ids[wanted.agent or ""]}
                row = self.work.services.channels.create(self.work.tenant.id, values, actor=self.work.actor)
                made.append((wanted, NewObject(row.id, doc)))
        return made

    def update(
        self, wanted: WantedDefinition, held: StoredDefinition, desired: Doc, changes: Sequence[FieldChange]
    ) -> dict[str, str]:
        """Changes the fields that differ."""
        patch = {name: desired[name] for name in {change.path.split(".")[0] for change in changes}}
        if "secrets" in patch:
            gone = held.doc["secrets"].keys() - desired["secrets"].keys()
            patch["secrets"] = {**desired["secrets"], **dict.fromkeys(gone)}
        self.work.services.channels.update(self.work.tenant.id, held.id, patch, actor=self.work.actor)
        return {}

    def delete_all(self, held: Sequence[StoredDefinition]) -> dict[UUID, str]:
        """Deletes channels one by one: there are few."""
        for each in held:
            self.work.services.channels.delete(self.work.tenant.id, each.id, actor=self.work.actor)
        return {}
