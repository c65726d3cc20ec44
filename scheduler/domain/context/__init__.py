"""Builds the text that a woken agent reads, and session titles from it.

Not here: which data it gets (scheduler/invocations/requests.py).
"""

from scheduler.domain.context.build import (
    ContextFiring,
    ContextLimits,
    build_context,
    new_nonce,
    session_title,
)
from scheduler.domain.context.sources import AS_SENT, is_asked, is_delegated, reason_of
from scheduler.domain.context.translations import Language

__all__ = [
    "AS_SENT",
    "ContextFiring",
    "ContextLimits",
    "Language",
    "build_context",
    "is_asked",
    "is_delegated",
    "new_nonce",
    "reason_of",
    "session_title",
]
