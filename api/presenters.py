"""Formats rows for the API and the web pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from flask import Response

from api.schemas.agents import AgentOut
from api.schemas.models import ModelOut
from api.schemas.notification_targets import TargetOut
from api.schemas.tenants_and_keys import KeyCreated
from api.services import services
from scheduler.domain.errors import NotFound
from scheduler.storage.firing_documents import FiringDocument
from scheduler.storage.keys import NewKey
from scheduler.storage.read_models.history_rows import WholeFiring
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.notifications import NotificationTarget
from scheduler.storage.tables.tenants import Model


def agent_out(row: Agent, new_secrets: Mapping[str, Any] = MappingProxyType({})) -> AgentOut:
    """Formats an agent, with new secrets of its runtime."""
    runtime = {"kind": row.runtime_kind, **row.runtime, **new_secrets}
    names = services().agents.header_names(row)
    shown = {**row.columns(), "runtime": runtime, "header_names": names}
    return AgentOut.model_validate(shown)


def model_out(row: Model) -> ModelOut:
    """Formats a model without its key."""
    return ModelOut.model_validate({**row.columns(), "has_key": row.key is not None})


def key_created(made: NewKey) -> KeyCreated:
    """Formats a new key including the key itself."""
    return KeyCreated.model_validate({**asdict(made.row), "key": made.key})


def target_out(row: NotificationTarget, secret: str | None = None) -> TargetOut:
    """Formats a notification target, with a new webhook's secret."""
    return TargetOut.model_validate({**row.columns(), "secret": secret})


def payload_file(firing: WholeFiring) -> Response:
    """Returns a firing's payload as a download that browsers do not open. Raises NotFound when there is none."""
    if firing.payload is None:
        raise NotFound(f"The firing '{firing.id}' has no payload.")
    return _file(firing.payload, f"firing-{firing.id}")


def document_file(document: FiringDocument) -> Response:
    """Returns a firing's document as a download."""
    return _file(document.body, f"firing-{document.firing_id}-{document.number}")


def _file(body: bytes, name: str) -> Response:
    response = Response(body, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
