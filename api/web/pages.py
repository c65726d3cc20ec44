"""The pages of what was recorded and of how it is set up, for `api.web.register`."""

from __future__ import annotations

from api.web.agent_edit import agent_edit
from api.web.agents import agents
from api.web.approvals import approvals
from api.web.audit import audit
from api.web.dead import dead
from api.web.deliveries import deliveries
from api.web.firings import firings
from api.web.invocations import invocations
from api.web.models import models
from api.web.new_agent import new_agent
from api.web.notifications import notifications
from api.web.questions import questions
from api.web.sessions import sessions
from api.web.settings import settings
from api.web.sign_ins import sign_ins

LEDGER = (
    agents,
    new_agent,
    agent_edit,
    invocations,
    firings,
    sessions,
    deliveries,
    dead,
    approvals,
    audit,
    questions,
    settings,
    sign_ins,
    models,
    notifications,
)
