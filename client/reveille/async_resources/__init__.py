"""All resources of the API.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reveille.async_resources.agents import AsyncAgents
from reveille.async_resources.alerts import AsyncAlerts
from reveille.async_resources.api_keys import AsyncApiKeys
from reveille.async_resources.audit import AsyncAudit
from reveille.async_resources.channels import AsyncChannels
from reveille.async_resources.definitions import AsyncDefinitions
from reveille.async_resources.deliveries import AsyncDeliveries
from reveille.async_resources.firings import AsyncFirings
from reveille.async_resources.insights import AsyncInsights
from reveille.async_resources.invocations import AsyncInvocations
from reveille.async_resources.messages import AsyncMessages
from reveille.async_resources.models import AsyncModels
from reveille.async_resources.mutes import AsyncMutes
from reveille.async_resources.notification_targets import AsyncNotificationTargets
from reveille.async_resources.pauses import AsyncPauses
from reveille.async_resources.search import AsyncSearch
from reveille.async_resources.simulations import AsyncSimulations
from reveille.async_resources.tenants import AsyncTenants
from reveille.async_resources.triggers import AsyncTriggers
from reveille.async_resources.users import AsyncUsers
from reveille.async_resources.web_users import AsyncWebUsers

if TYPE_CHECKING:
    from reveille.client import AsyncClient


class AsyncResources:
    """What the API has."""

    def __init__(self, client: AsyncClient) -> None:
        self.agents = AsyncAgents(client)
        self.triggers = AsyncTriggers(client)
        self.deliveries = AsyncDeliveries(client)
        self.firings = AsyncFirings(client)
        self.invocations = AsyncInvocations(client)
        self.users = AsyncUsers(client)
        self.messages = AsyncMessages(client)
        self.channels = AsyncChannels(client)
        self.notification_targets = AsyncNotificationTargets(client)
        self.models = AsyncModels(client)
        self.insights = AsyncInsights(client)
        self.definitions = AsyncDefinitions(client)
        self.search = AsyncSearch(client)
        self.simulations = AsyncSimulations(client)
        self.audit = AsyncAudit(client)
        self.api_keys = AsyncApiKeys(client)
        self.web_users = AsyncWebUsers(client)
        self.tenants = AsyncTenants(client)
        self.pauses = AsyncPauses(client)
        self.alerts = AsyncAlerts(client)
        self.mutes = AsyncMutes(client)
