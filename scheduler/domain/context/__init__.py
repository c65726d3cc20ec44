"""What a woken agent reads, and the titles and summaries made of it."""

from scheduler.domain.context.build import (
    ContextFiring,
    ContextLimits,
    build_context,
    new_nonce,
    session_title,
    summary_line,
)
from scheduler.domain.context.words import Language

__all__ = [
    "ContextFiring",
    "ContextLimits",
    "Language",
    "build_context",
    "new_nonce",
    "session_title",
    "summary_line",
]
