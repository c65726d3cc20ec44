"""The addresses that Reveille tells others: what begins them all, and those of webhooks."""

from __future__ import annotations

from flask import request

from api.services import services
from scheduler.triggers.webhook import hook_url


def base_url() -> str:
    """Where this service is reached: as the operator says, else as the caller of this request reached it."""
    return services().settings.public_url or request.url_root.rstrip("/")


def hook_address(token: str) -> str:
    """The address of the webhook with this token."""
    return hook_url(base_url(), token)
