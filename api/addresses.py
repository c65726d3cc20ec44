"""The public addresses of this service and of webhooks."""

from __future__ import annotations

from flask import request

from api.services import services
from scheduler.triggers.webhook import hook_url


def base_url() -> str:
    """Returns the URL of this service: the operator's, else the one that this request used."""
    return services().settings.public_url or request.url_root.rstrip("/")


def hook_address(token: str) -> str:
    """Returns the URL of the webhook with this token."""
    return hook_url(base_url(), token)
