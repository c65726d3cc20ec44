"""The parts of an agent's definition that are not written as they are stored: models, MCP servers, the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from scheduler.domain.errors import InvalidField
from scheduler.manage.agents.heartbeat import HeartbeatSettings, set_heartbeat
from scheduler.manage.agents.remotes import McpServer
from scheduler.manage.agents.service import SavedAgent
from scheduler.manage.definitions.shapes import Doc
from scheduler.manage.definitions.unit_of_work import JoinedDatabase, Work
from scheduler.manage.triggers.rows import HEARTBEAT
from scheduler.runtimes.registry import RUNTIMES, fields_of
from scheduler.storage.tables.core import Trigger

BY_ID = "_id"
"""The end of a runtime's field that refers to a model by its id; without it, the field refers by name."""
SECRETS = frozenset(name for runtime in RUNTIMES.values() for name in runtime.secrets)


def model_names(runtime: Doc) -> set[str]:
    """Returns the names of the models that a runtime refers to."""
    shorts = (field.removesuffix(BY_ID) for field in fields_of(str(runtime.get("kind")), "models"))
    return {str(runtime[short]) for short in shorts if short in runtime}


def with_model_names(runtime: Doc, models: Mapping[UUID, str]) -> Doc:
    """Returns a runtime that refers to models by name."""
    doc = dict(runtime)
    for field in fields_of(str(doc.get("kind")), "models"):
        id_ = doc.pop(field, None)
        if id_ is not None:
            doc[field.removesuffix(BY_ID)] = models.get(UUID(id_), id_)
    return doc


def with_model_ids(runtime: Doc, models: Mapping[str, UUID]) -> Doc:
    """Returns a runtime that refers to models by id. Raises InvalidField for an unknown name."""
    doc = dict(runtime)
    for field in fields_of(str(doc.get("kind")), "models"):
        short = field.removesuffix(BY_ID)
        model = doc.pop(short, None)
        if model is None:
            continue
        if not isinstance(model, str) or model not in models:
            known = ", ".join(sorted(models)) or "none"
            raise InvalidField(f"There is no model {model!r}; there are: {known}.", field=f"runtime.{short}")
        doc[field] = str(models[model])
    return doc


def server_docs(servers: Sequence[McpServer], held: Mapping[str, Any]) -> dict[str, Doc]:
    """Returns MCP servers by name; headers that are not given stay with their server's address."""
    docs = {}
    for server in servers:
        doc: Doc = server.model_dump(exclude_none=True, exclude={"headers"})
        stored = held.get(server.name, {})
        headers = server.headers
        if headers is None and stored.get("url") == server.url:
            headers = stored.get("headers")
        docs[server.name] = doc | ({"headers": dict(headers)} if headers else {})
    return docs


def by_server(path: str, servers: Sequence[McpServer]) -> str:
    """Returns the path of a header by its server's name instead of its place in the list."""
    first, *rest = path.split(".", 2)
    if first != "mcp_servers" or not rest[0].isdecimal():
        return path
    return ".".join([first, servers[int(rest[0])].name, *rest[1:]])


def server_patch(before: Mapping[str, Doc], after: Mapping[str, Doc]) -> list[McpServer]:
    """Returns the servers as a change of an agent takes them: headers that are gone are named as null."""
    servers = []
    for name, doc in after.items():
        given = doc.get("headers", {})
        named = {each.lower() for each in given}
        old = before.get(name, {}).get("headers", {})
        headers = {each: None for each in old if each.lower() not in named} | given
        servers.append(McpServer.model_validate({**doc, "headers": headers or None}))
    return servers


def generated_secrets(saved: SavedAgent, given: Mapping[str, Any]) -> dict[str, str]:
    """Returns the secrets that were made for an agent, which are shown only this once."""
    return {name: str(value) for name, value in saved.new_secrets.items() if not given.get(name)}


def read_heartbeats(conn: Connection, tenant_id: UUID) -> dict[UUID, Doc]:
    """Returns the heartbeats of a tenant's agents, as definitions have them."""
    query = select(Trigger.agent_id, Trigger.config, Trigger.reason, Trigger.is_enabled).where(
        Trigger.tenant_id == tenant_id,
        Trigger.is_system,
        Trigger.name == HEARTBEAT,
        Trigger.deleted_at.is_(None),
    )
    return {
        row.agent_id: asdict(
            HeartbeatSettings(_minutes(row.config), row.config.get("only_between"), row.reason, row.is_enabled)
        )
        for row in conn.execute(query)
    }


def wanted_heartbeat(work: Work, given: Any, held: Doc | None) -> Doc:
    """Returns a definition's heartbeat as it is stored; whether it is on stays if that is left out."""
    fields = given.model_dump()
    if fields["enabled"] is None:
        fields["enabled"] = True if held is None else held["enabled"]
    return asdict(HeartbeatSettings(**fields).within(work.tenant.min_heartbeat_interval))


def apply_heartbeat(work: Work, agent_id: UUID, doc: Doc) -> None:
    """Creates or changes an agent's heartbeat."""
    db, triggers = JoinedDatabase(work.conn), work.services.triggers
    set_heartbeat(db, triggers, work.tenant.id, agent_id, HeartbeatSettings(**doc), actor=work.actor)


def _minutes(config: Mapping[str, Any]) -> float:
    minutes = config.get("minutes")
    return float(config["seconds"]) / 60 if minutes is None else float(minutes)
