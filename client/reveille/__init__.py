"""Reveille's client: set triggers, send messages, and answer wakes.

from reveille import Reveille

with Reveille("http://127.0.0.1:8080", "rvl_…") as reveille:
agent = reveille.agents.create(name="ranger", runtime={"kind": "http", "url": "http://127.0.0.1:9000/wake"})
reveille.triggers.create(agent["id"], name="morning", type="cron", config={"expr": "0 9 * * *"})
"""

from reveille.client import AsyncReveille, Reveille
from reveille.errors import ApiError, ConnectionFailed, NotFound, ReveilleError, SignatureError, Unauthorized
from reveille.signature import verify
from reveille.wakes import AsyncWakes, Wakes

__all__ = [
    "ApiError",
    "AsyncReveille",
    "AsyncWakes",
    "ConnectionFailed",
    "NotFound",
    "Reveille",
    "ReveilleError",
    "SignatureError",
    "Unauthorized",
    "Wakes",
    "verify",
]
