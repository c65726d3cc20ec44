"""The services that views use: created by `create_app`, and found through the current app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.live import Live
from config.settings import Settings, read_variable
from scheduler.alerts.rules import rules_with
from scheduler.alerts.service import Alerts
from scheduler.alerts.service_rules import database_space_of
from scheduler.alerts.watch import LEASE_SECONDS, Watch
from scheduler.alerts.web_watch import WebWatch
from scheduler.channels.registry import open_channel
from scheduler.domain.clock import Clock, SystemClock
from scheduler.manage.agents.service import Agents
from scheduler.manage.channels import Channels
from scheduler.manage.definitions.service import Definitions
from scheduler.manage.definitions.unit_of_work import Services as Joined
from scheduler.manage.deliveries import Deliveries
from scheduler.manage.invocations import Invocations
from scheduler.manage.keys import Keys
from scheduler.manage.models import Models
from scheduler.manage.notification_targets import NotificationTargets
from scheduler.manage.pauses import Pauses
from scheduler.manage.simulations import Simulations
from scheduler.manage.tenants import Tenants
from scheduler.manage.triggers.checks import Checks
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.users import Users
from scheduler.manage.web_users import WebUsers
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.base import Operator
from scheduler.runtimes.model_trial import ask_model
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

EXTENSION = "reveille"
POOL_SIZE = 3
"""The connections of each of the two web processes: a small database plan has 20 in all."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the API."""

    settings: Settings
    db: Database
    box: SecretBox
    triggers: Triggers
    checks: Checks
    agents: Agents
    models: Models
    keys: Keys
    tenants: Tenants
    pauses: Pauses
    alerts: Alerts
    targets: NotificationTargets
    definitions: Definitions
    simulations: Simulations
    invocations: Invocations
    deliveries: Deliveries
    channels: Channels
    users: Users
    web_users: WebUsers
    allow_private: AllowedPrivate
    clock: Clock
    live: Live
    guard: WebWatch
    """Checks for problems, once started."""


def build_parts(settings: Settings) -> Services:
    """Creates the services for `settings`.

    Opens no connection yet; raises ConfigurationError for an invalid setting.
    """
    settings = settings.for_server()
    assert settings.secret_key is not None  # noqa: S101  # for_server has checked it
    db = Database(settings.sqlalchemy_url, pool_size=POOL_SIZE, application_name="reveille-web")
    box = SecretBox(settings.secret_key.get_secret_value())
    allow_private = AllowedPrivate.parse(settings.allow_private_hosts)
    for_agents = allow_private.and_loopback() if settings.is_local else allow_private
    live = Live(settings.listen_url)
    operator = Operator(box, for_agents, settings.commands, settings.mcp_commands)
    triggers = Triggers(db, box, allow_private, settings.permitted)
    clock = SystemClock()

    def join(upon: Database) -> Joined:
        return Joined(
            Models(upon, box, for_agents, lambda spec: ask_model(spec, for_agents, read_variable)),
            Agents(upon, operator),
            Triggers(upon, box, allow_private, settings.permitted),
            NotificationTargets(upon, box, allow_private, clock),
            Channels(upon, box, open_channel),
        )

    definitions = Definitions(db, operator, join)
    return Services(
        settings=settings,
        db=db,
        box=box,
        triggers=triggers,
        checks=Checks(db, box, allow_private, settings.permitted, clock),
        agents=Agents(db, operator),
        models=Models(db, box, for_agents, lambda spec: ask_model(spec, for_agents, read_variable)),
        allow_private=allow_private,
        keys=Keys(db, clock),
        tenants=Tenants(db, triggers),
        pauses=Pauses(db),
        alerts=Alerts(db),
        targets=NotificationTargets(db, box, allow_private, clock),
        definitions=definitions,
        simulations=Simulations(definitions, clock),
        invocations=Invocations(db),
        deliveries=Deliveries(db),
        channels=Channels(db, box, open_channel),
        users=Users(db),
        web_users=WebUsers(db),
        clock=clock,
        live=live,
        guard=WebWatch(
            db,
            Watch(db, rules_with(database_space_of(settings)), every=LEASE_SECONDS),
            box,
            lambda: GuardedClient(allow_private=allow_private),
            clock,
        ),
    )


def services() -> Services:
    """Returns the services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION])
