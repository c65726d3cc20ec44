"""Authenticates callers, and decides what they may do.

`Authorization: Bearer KEY`. A key belongs to a tenant, or to the operator (no tenant): then it acts on the tenant
`default`, or on the one named by the header `Reveille-Tenant`. Its scopes decide:

| scope    | may                                                                                            |
|----------|------------------------------------------------------------------------------------------------|
| read     | read everything of the tenant but its keys                                                     |
| write    | the same, and make, change, pause, fire and delete agents and triggers; cancel, replay, complete |
| admin    | the same, and the tenant's keys; an operator's admin key also the tenants                      |
| agent:ID | read that agent, its firings, invocations and messages; write its triggers; wake it; write as it |

What belongs to another tenant, or for `agent:ID` to another agent, is not there: 404, never 403.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar
from uuid import UUID

from flask import current_app, g, request
from sqlalchemy import Connection

from api.auth_failures import limit_wrong_keys, note_refusal
from api.services import services
from scheduler.domain.errors import Forbidden, NotFound, Unauthorized
from scheduler.domain.ids import parse_id
from scheduler.manage.keys import Requester
from scheduler.manage.triggers.checks import Trier
from scheduler.storage.keys import AGENT_PREFIX, find_key
from scheduler.storage.tenants import DEFAULT_TENANT, get_tenant

TENANT_HEADER = "Reveille-Tenant"


class Level(IntEnum):
    """The access that a view requires. Each level includes those before it."""

    AGENT = 0
    READ = 1
    WRITE = 2
    ADMIN = 3
    OPERATOR = 4


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a view: keys of `level`, with `own` an `agent:ID` key too; with `token` the view itself checks
    bearer tokens that are not keys. Also whether the view takes a body, and whether that is optional.
    """

    level: Level
    own: bool = False
    token: bool = False
    body: bool = False
    optional_body: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The key behind this request and the tenant it acts on."""

    key_id: UUID
    name: str
    tenant_id: UUID
    level: Level
    is_operator: bool
    agent_id: UUID | None
    """Set for an `agent:ID` key, which only reaches this agent."""
    kind: str = "key"
    """`key`, or `user` for a web user signed in with a password; `key_id` is then the user's id."""

    @property
    def actor(self) -> str:
        """The caller's name in the audit trail."""
        return f"{self.kind}:{self.name}"

    @property
    def requester(self) -> Requester:
        """The caller for the services of keys and of web users."""
        return Requester(self.tenant_id, self.actor, self.is_operator)

    @property
    def trier(self) -> Trier:
        """The caller, for trials of checks."""
        return Trier(self.tenant_id, self.actor, self.agent_id)

    @property
    def is_agent(self) -> bool:
        """Whether an agent uses its own key; scheduler.manage.agents.rights decides what it may do with triggers."""
        return self.agent_id is not None

    def may(self, access: Access) -> bool:
        """Whether its scopes include `access`."""
        return self.level >= access.level or (access.own and self.agent_id is not None)

    def must_reach(self, agent_id: UUID, what: str, id_: UUID) -> None:
        """Raises NotFound, as for a missing `what`, unless the caller may access this agent."""
        if self.agent_id not in (None, agent_id):
            raise NotFound(f"There is no {what} '{id_}'.")

    def narrow(self, agent_id: UUID | None) -> UUID | None:
        """Returns the agent to filter a list by, when the caller asked for `agent_id`; raises NotFound for another
        agent's.
        """
        if self.agent_id is None:
            return agent_id
        if agent_id is not None:
            self.must_reach(agent_id, "agent", agent_id)
        return self.agent_id


ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def needs(
    level: Level, *, own: bool = False, token: bool = False, optional_body: bool = False
) -> Callable[[ViewT], ViewT]:
    """Declares who may call a view. The app does not start with an API view without this."""

    def mark(view: ViewT) -> ViewT:
        body = "body" in view.__annotations__
        view.access = Access(level, own, token, body, optional_body)  # type: ignore[attr-defined]
        return view

    return mark


def access_of(endpoint: str | None) -> Access:
    """Returns the declared access of the view behind `endpoint`."""
    access = getattr(current_app.view_functions[endpoint or ""], "access", None)
    if not isinstance(access, Access):
        raise TypeError(f"{endpoint} is not marked with api.auth.needs.")
    return access


def authenticate() -> None:
    """Authenticates the caller of this request.

    Raises Unauthorized, or Forbidden when its scopes are insufficient.
    """
    access = access_of(request.endpoint)
    token = bearer()
    g.caller = None
    with services().db.single() as conn:
        g.caller = caller_of(conn, token, request.headers.get(TENANT_HEADER)) if token else None
    if g.caller is None:
        if access.token and token:
            return
        if token:
            note_refusal("key.refused")
            limit_wrong_keys()
        raise Unauthorized("The API key is wrong or was revoked." if token else "Send Authorization: Bearer KEY.")
    if not g.caller.may(access):
        raise Forbidden(f"The key lacks the scope for this: {access.level.name.lower()} is required.")


def caller() -> Caller:
    """Returns the caller of this request."""
    found: Caller = g.caller
    return found


def is_key() -> bool:
    """Whether the bearer token is a key; false only where the view itself checks other tokens."""
    return g.caller is not None


def bearer() -> str:
    """Returns the token of the Authorization header; empty without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def caller_of(conn: Connection, key: str, asked_tenant: str | None) -> Caller | None:
    """Returns the caller with `key` for the requested tenant;

    None for an invalid key. Raises NotFound for the tenant.
    """
    row = find_key(conn, key)
    if row is None:
        return None
    is_operator = row.tenant_id is None
    level, agent_id = reach(row.scopes, is_operator=is_operator)
    return Caller(row.id, row.name, _tenant(conn, row.tenant_id, asked_tenant), level, is_operator, agent_id)


def reach(scopes: list[str], *, is_operator: bool) -> tuple[Level, UUID | None]:
    """Returns the level of these scopes, and the agent that they are restricted to, if any."""
    if "admin" in scopes:
        return (Level.OPERATOR if is_operator else Level.ADMIN), None
    if "write" in scopes:
        return Level.WRITE, None
    if "read" in scopes:
        return Level.READ, None
    return Level.AGENT, UUID(scopes[0].removeprefix(AGENT_PREFIX))


def _tenant(conn: Connection, own: UUID | None, asked: str | None) -> UUID:
    if not asked:
        return own or DEFAULT_TENANT
    tenant_id = parse_id(asked[:100], "tenant")
    if own is not None and tenant_id != own:
        raise NotFound(f"There is no tenant '{tenant_id}'.")
    get_tenant(conn, tenant_id)
    return tenant_id
