"""echo: an agent that repeats what woke it, signed with a secret word."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar, Literal

from pydantic import Field

from scheduler.domain.errors import InvalidField
from scheduler.runtimes.base import Operator, Option, Outcome, Replied, RunRequest, RuntimeConfig, RuntimeParts


class EchoRuntime(RuntimeConfig):
    """Repeats the names of the triggers that fired after `greeting`, `times` times, and signs that with `word`."""

    label: ClassVar = "Echo"
    summary: ClassVar = "an echo of what woke it"
    icon: ClassVar = "M-4-4A5 5 0 0 1-4 4M0-5A6 6 0 0 1 0 5"
    docs: ClassVar = "https://example.org/reveille-echo-runtime"
    secrets: ClassVar = ("word",)
    main_fields: ClassVar = ("greeting",)
    options: ClassVar = (
        Option("--greeting", "greeting", "what it begins with."),
        Option("--word", "word", "what it signs with.", "secret", "TEXT|@FILE", implies=False),
    )
    card_tags: ClassVar = ("echo",)

    kind: Literal["echo"]
    greeting: str = Field(
        min_length=1, max_length=80, title="Greeting", description="What it begins with.", examples=["Hello"]
    )
    times: int = Field(1, ge=1, le=9, title="Times", description="How often it says so.")
    word: str = Field("", max_length=80, title="Secret word", description="What it signs its answer with.")

    def check(self, operator: Operator) -> None:
        """Refuses a greeting in capitals."""
        if self.greeting.isupper():
            raise InvalidField(
                "The greeting is all in capitals; an echo does not shout.", field="runtime.greeting"
            )

    async def run(self, request: RunRequest, parts: RuntimeParts) -> Outcome:
        """Replies at once."""
        names = ", ".join(sorted({firing.trigger.name for firing in request.firings}))
        said = " ".join([f"{self.greeting}, {names}."] * self.times)
        signature = hmac.new(self.word.encode(), said.encode(), hashlib.sha256).hexdigest()
        return Replied(f"{said} {signature}")
