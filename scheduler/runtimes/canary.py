"""The canary's runtime, which replies at once. The registry does not list it, so no other agent can use it."""

from __future__ import annotations

from scheduler.domain.run import Outcome, Replied, RunRequest

CANARY_KIND = "canary"


class CanaryRuntime:
    """Replies with nothing."""

    async def run(self, request: RunRequest) -> Outcome:  # the cause does not matter
        """Ends the run."""
        return Replied("")
