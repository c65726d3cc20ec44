"""Webhooks under test: created through the API, called as their senders would."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from werkzeug.test import TestResponse

from scheduler.storage.engine import Database
from scheduler.storage.tables.core import Firing
from tests.support.api import Api, trigger_body

NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Hook:
    """A webhook trigger and how to call it."""

    api: Api
    trigger: Any

    @property
    def id(self) -> str:
        return str(self.trigger["id"])

    @property
    def path(self) -> str:
        return "/hooks/" + str(self.trigger["hook_url"]).rpartition("/")[2]

    def post(self, body: bytes = b"{}", /, **headers: str) -> TestResponse:
        """Makes one delivery; `x_github_delivery` is the header X-GitHub-Delivery."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.app.test_client().post(self.path, data=body, headers=named)

    def accepted(self, body: bytes = b"{}", /, **headers: str) -> str:
        """Returns the firing of a delivery that must be new and accepted."""
        response = self.post(body, **headers)
        assert response.status_code == 202, response.text
        assert response.json is not None and response.json["duplicate"] is False
        return str(response.json["firing_id"])

    def refused(self, status: int, body: bytes = b"{}", /, **headers: str) -> TestResponse:
        """Makes a delivery that must be refused with `status`."""
        response = self.post(body, **headers)
        assert response.status_code == status, response.text
        assert response.content_type == "application/problem+json"
        return response

    def deliveries(self) -> list[Any]:
        """Returns the stored deliveries, newest first."""
        return list(self.api.get(f"/triggers/{self.id}/deliveries", limit=200)["items"])

    def verdicts(self) -> list[str]:
        """Returns the verdicts of the stored deliveries, oldest first."""
        return [each["verdict"] for each in reversed(self.deliveries())]

    def firings(self) -> list[Firing]:
        """Returns the firings, oldest first."""
        return firings_of(self.api.db, UUID(self.id))


def make_hook(api: Api, config: dict[str, Any] | None = None, *, rate: int = 5, **fields: object) -> Hook:
    """Creates a webhook of a new agent that accepts `rate` deliveries per minute."""
    name = f"agent {len(api.get('/agents', limit=200)['items'])}"
    tenant = next(each for each in api.get("/tenants")["items"] if each["name"] == "default")
    api.patch(f"/tenants/{tenant['id']}", {"max_webhook_rate": NO_LIMIT})
    agent = api.agent(name, webhook_rate_limit=rate)
    body = trigger_body("hook", type="webhook", config=config or {}, **fields)
    return Hook(api, api.post(f"/agents/{agent['id']}/triggers", body))


def firings_of(db: Database, trigger_id: UUID) -> list[Firing]:
    """Returns a trigger's firings, oldest first, as rows with the attributes of Firing."""
    with db.begin() as conn:
        rows = conn.execute(select(*Firing.__table__.c).where(Firing.trigger_id == trigger_id).order_by(Firing.id))
        return list(rows.all())  # type: ignore[arg-type]


def github_signature(body: bytes, secret: str) -> str:
    """Returns the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
