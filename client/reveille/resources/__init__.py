"""All resources of the API.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reveille.resources.agents import Agents
from reveille.resources.alerts import Alerts
from reveille.resources.api_keys import ApiKeys
from reveille.resources.audit import Audit
from reveille.resources.channels import Channels
from reveille.resources.definitions import Definitions
from reveille.resources.deliveries import Deliveries
from reveille.resources.firings import Firings
from reveille.resources.insights import Insights
from reveille.resources.invocations import Invocations
from reveille.resources.messages import Messages
from reveille.resources.models import Models
from reveille.resources.mutes import Mutes
from reveille.resources.notification_targets import NotificationTargets
from reveille.resources.pauses import Pauses
from reveille.resources.search import Search
from reveille.resources.simulations import Simulations
from reveille.resources.tenants import Tenants
from reveille.resources.triggers import Triggers
from reveille.resources.users import Users
from reveille.resources.web_users import WebUsers

if TYPE_CHECKING:
    from reveille.client import Client


class Resources:
    """What the API has."""

    def __init__(self, client: Client) -> None:
        self.agents = Agents(client)
        self.triggers = Triggers(client)
        self.deliveries = Deliveries(client)
        self.firings = Firings(client)
        self.invocations = Invocations(client)
        self.users = Users(client)
        self.messages = Messages(client)
        self.channels = Channels(client)
        self.notification_targets = NotificationTargets(client)
        self.models = Models(client)
        self.insights = Insights(client)
        self.definitions = Definitions(client)
        self.search = Search(client)
        self.simulations = Simulations(client)
        self.audit = Audit(client)
        self.api_keys = ApiKeys(client)
        self.web_users = WebUsers(client)
        self.tenants = Tenants(client)
        self.pauses = Pauses(client)
        self.alerts = Alerts(client)
        self.mutes = Mutes(client)
