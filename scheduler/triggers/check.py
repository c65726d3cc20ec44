"""check: runs a program from the operator's list periodically, which decides whether to wake the agent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

from pydantic import Field

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.triggers.base import CheckContext
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.looks import CheckResult, LookConfig
from scheduler.triggers.options import Option

MAX_OUTPUT_BYTES = 1024 * 1024
REMEMBERED_KEYS = 1_000
MAX_KEY_CHARS = 500
NOT_LISTED = "The program {!r} is not in REVEILLE_CHECKS: the operator lists there what may be run."


class CheckFailed(ReveilleError):
    """The check failed."""

    status = 502
    problem = "check-failed"


class CheckConfig(LookConfig):
    """`{"name": "disk", "interval_seconds": 60}`: `name` is on the operator's list."""

    kind: ClassVar = "check"
    label: ClassVar = "Check"
    summary: ClassVar = "When a program from the operator's list says so: a cheap check that uses no tokens."
    for_agents: ClassVar = (
        '{"name": "disk", "interval_seconds"?: 60}: when a program of the operator\'s list says so '
        "(only where the operator lets agents make these)"
    )
    icon: ClassVar = "M-5 0-1.5 4 5-4-1.5 1Z"
    docs: ClassVar = "docs/triggers/check.md"
    can_try: ClassVar = True
    needs_permission: ClassVar = True
    main_fields: ClassVar = ("name", "interval_seconds")
    options: ClassVar = (
        Option("--check", "name", "A program from the operator's list.", metavar="NAME"),
        Option("--every", "interval_seconds", "How often.", "duration", "20s|5m|2h|1d", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"text": "What it said:", "data": "What it found:", "key": "Key:"},
        "zh": {"text": "程序输出:", "data": "检查结果:", "key": "键:"},
    }

    name: str = Field(
        min_length=1,
        max_length=200,
        title="Program",
        description="Its name in REVEILLE_CHECKS.",
        examples=["disk"],
    )
    timeout_seconds: float = Field(
        default=10.0,
        ge=0.1,
        le=25,
        allow_inf_nan=False,
        title="Timeout (seconds)",
        description="A program that takes longer is killed, which counts as a failure.",
    )

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for a program that the operator did not list."""
        if self.name not in context.permitted.checks:
            raise InvalidField(NOT_LISTED.format(self.name), field="name")

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Runs the program; its stdin is its previous cursor as JSON."""
        command = resources.permitted.checks.get(self.name)
        if not command:
            raise CheckFailed(NOT_LISTED.format(self.name))
        kept = cursor or {"cursor": None, "keys": []}
        given = json.dumps(kept["cursor"]).encode() + b"\n"
        ran = resources.run(command, given, seconds=self.timeout_seconds, most=MAX_OUTPUT_BYTES)
        if ran.status != 0:
            why = f": {ran.errors}" if ran.errors else "."
            raise CheckFailed(f"The program {self.name} ended with status {ran.status}{why}")
        return _check_result(ran.output, kept)

    def fingerprint(self) -> str:
        """Depends only on the program: a different timeout keeps the cursor."""
        return sha256(json.dumps([self.kind, self.name]).encode()).hexdigest()

    def remembered(self, cursor: Any) -> Any:
        """Returns the cursor of the program."""
        return cursor["cursor"]


def _check_result(output: bytes, kept: Mapping[str, Any]) -> CheckResult:
    try:
        text = output.decode().strip()
    except UnicodeDecodeError:
        raise CheckFailed("The program's output is not UTF-8 text.") from None
    said = _object(text)
    if said is None:
        return CheckResult(kept, {"text": text}) if text else CheckResult(kept)
    _check_said(said)
    left = {"cursor": said.get("cursor", kept["cursor"]), "keys": kept["keys"]}
    if not said["fire"]:
        return CheckResult(left)
    key = said.get("key")
    if key is None:
        return CheckResult(left, _data(said))
    hashed = sha256(key.encode("utf-8", "replace")).hexdigest()[:24]
    if hashed in kept["keys"]:
        return CheckResult(left, note=f"It fired with the key {key} before.")
    left["keys"] = [hashed, *kept["keys"]][:REMEMBERED_KEYS]
    return CheckResult(left, {"key": key} | _data(said))


def _object(text: str) -> dict[str, Any] | None:
    """Returns the printed JSON object; None for plain text."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _check_said(said: Mapping[str, Any]) -> None:
    """Raises CheckFailed for an object that does not say whether to fire."""
    unknown = sorted(said.keys() - {"fire", "key", "data", "cursor"})
    if unknown:
        raise CheckFailed(f"The program printed a member {unknown[0]!r}; there are fire, key, data and cursor.")
    if not isinstance(said.get("fire"), bool):
        raise CheckFailed('The program printed an object without "fire": true or false.')
    key = said.get("key")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS):
        raise CheckFailed(f"The key that the program printed is not a string of 1 to {MAX_KEY_CHARS} characters.")


def _data(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": said["data"]} if "data" in said else {}
