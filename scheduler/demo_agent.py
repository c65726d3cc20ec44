"""The demo agent: a program that reads its invocation from stdin and prints what woke it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any


def reply(request: dict[str, Any]) -> str:
    """Summarizes how often each trigger fired and what the webhooks delivered."""
    firings = request["firings"]
    counts = Counter(f"{firing['trigger']['name']} ({firing['trigger']['type']})" for firing in firings)
    what = ", ".join(f"{name} x{count}" for name, count in counts.items())
    said = " | ".join(firing["payload"][:100] for firing in firings if firing.get("payload"))
    number = f"{len(firings)} firing{'' if len(firings) == 1 else 's'}"
    return f"Woken once for {number}: {what}." + (f" They said: {said}" if said else "")


if __name__ == "__main__":
    sys.stdout.write(reply(json.load(sys.stdin)) + "\n")
