"""Imports crontab files: each job becomes a cron trigger whose reason is the job's command.

The formats are those of crontab(5): of a user, and of the system (`/etc/crontab`, `/etc/cron.d`), whose jobs name
the user that runs them. What cannot be imported is listed with its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

from scheduler.domain.errors import InvalidField
from scheduler.domain.text import is_visible
from scheduler.triggers.cron_expression import parse_expression
from scheduler.triggers.zones import load_zone

FIELDS = 5
MAX_REASON = 4000
"""As of any trigger (scheduler.manage.triggers.spec)."""
_VARIABLE = re.compile(r"""\s*(?:"(?P<a>\w+)"|'(?P<b>\w+)'|(?P<c>[A-Za-z_]\w*))\s*=\s*(?P<value>.*?)\s*""")
_NICKNAMES = {"@every_minute": "* * * * *"}
_USER = re.compile(r"[a-z_][a-z0-9_.-]*\$?")
_NAME_LENGTH = 60
_AT_BOOT = "@reboot"
UNKNOWN = "?"
"""The zone after a line that names none that exists."""
_KNOWN = {
    "MAILTO": "agents' replies are sent to notification targets instead",
    "MAILFROM": "agents' replies are sent to notification targets instead",
    "RANDOM_DELAY": "write jitter_seconds into the config of these triggers instead",
    "CRON_WITHIN": "triggers have misfire_policy and grace_seconds instead",
}


class Note(NamedTuple):
    """Something that was not imported, and its place."""

    line: int
    text: str


@dataclass(slots=True)
class CrontabImport:
    """The triggers from a file, and what was not imported."""

    triggers: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def is_system_crontab(text: str, path: str, users: Collection[str]) -> bool:
    """Whether the jobs of a crontab name users: told by its place, or by what stands where they would be."""
    where = PurePath(path)
    if where.name == "crontab" or where.parent.name == "cron.d":
        return True
    words = [line.split() for line in map(str.strip, text.splitlines()) if _is_job(line)]
    after = [each[1 if each[0].startswith("@") else FIELDS :] for each in words]
    return bool(after) and all(len(each) > 1 and each[0] in users for each in after)


def import_crontab(text: str, agent: str, *, is_system: bool, zone: str | None = None) -> CrontabImport:
    """Makes triggers of an agent of a crontab's jobs; `zone` is that of jobs without one of the file's own."""
    return _Reader(agent, zone, is_system=is_system).read(text)


class _Reader:
    def __init__(self, agent: str, zone: str | None, *, is_system: bool) -> None:
        self._imported = CrontabImport()
        self._agent = agent
        self._zones: dict[str, str | None] = {"--timezone": zone}
        self._is_system = is_system
        self._names: set[str] = set()
        self._remark = ""

    def read(self, text: str) -> CrontabImport:
        """Reads every line."""
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
            self._line(number, line.strip(" \t"))
        return self._imported

    def _note(self, number: int, text: str) -> None:
        self._imported.notes.append(Note(number, text))

    def _line(self, number: int, line: str) -> None:
        if not line or line.startswith("#"):
            self._remark = line.lstrip("# \t")
            return
        variable = _VARIABLE.fullmatch(line)
        if variable is not None:
            self._variable(number, variable)
        else:
            self._job(number, line)
            self._remark = ""

    def _variable(self, number: int, found: re.Match[str]) -> None:
        name = found["a"] or found["b"] or found["c"]
        value = found["value"]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if name not in ("CRON_TZ", "TZ"):
            why = _KNOWN.get(name, "an agent is woken, and no command is run here")
            self._note(number, f"{name} is not imported: {why}.")
            return
        try:
            self._zones[name] = load_zone(value.removeprefix(":")).key if value else None
        except InvalidField as error:
            self._zones[name] = UNKNOWN
            self._note(number, f"{error.message} The jobs below are not imported until a line names another zone.")
            return
        if name == "TZ":
            text = "TZ is used as the zone of the times below, like CRON_TZ; some crons apply it to commands only."
            self._note(number, "TZ is not imported: CRON_TZ is used." if self._zones.get("CRON_TZ") else text)

    def _job(self, number: int, line: str) -> None:
        expr, rest = _split(line)
        if expr == _AT_BOOT:
            self._note(
                number, f"{line!r} is not imported: {_AT_BOOT} has no time. Fire a trigger from a unit at boot."
            )
            return
        user = ""
        if self._is_system:
            user, rest = [*rest.split(None, 1), "", ""][:2]
            if not _USER.fullmatch(user):
                self._note(number, f"{line!r} is not imported: it names no user, as a system crontab does.")
                return
        try:
            parse_expression(expr, None)
        except InvalidField as error:
            self._note(number, f"{line!r} is not imported: {error.message}")
            return
        if not rest:
            self._note(number, f"{line!r} is not imported: it has no command.")
        elif self._zone() == UNKNOWN:
            self._note(number, f"{line!r} is not imported: its zone is not known.")
        else:
            self._add(number, expr, user, rest)

    def _zone(self) -> str | None:
        """Returns the zone of the lines from here on."""
        return self._zones.get("CRON_TZ") or self._zones.get("TZ") or self._zones["--timezone"]

    def _add(self, number: int, expr: str, user: str, rest: str) -> None:
        command, *standard_input = _unescaped(rest)
        reason = f"{self._remark}\n\n{command}".strip() if self._remark else command
        reason += f"\n(as {user})" if user else ""
        if standard_input:
            reason += "\n\nInput:\n" + "\n".join(standard_input)
        if len(reason) > MAX_REASON:
            reason = reason[:MAX_REASON]
            self._note(number, f"The reason is cut to {MAX_REASON} characters.")
        zone = self._zone()
        config = {"expr": expr} | ({"timezone": zone} if zone else {})
        self._imported.triggers.append(
            {"agent": self._agent, "name": self._name(command), "type": "cron", "config": config, "reason": reason}
        )

    def _name(self, command: str) -> str:
        """Returns a name of the job: its remark, else its program."""
        words = [word for word in command.split() if "=" not in word] or command.split()
        name = self._remark or PurePath(words[0].strip("\"'(;")).name or "job"
        name = "".join(char if is_visible(char) else " " for char in name)[:_NAME_LENGTH].strip() or "job"
        unique, count = name, 1
        while unique in self._names:
            count += 1
            unique = f"{name} {count}"
        self._names.add(unique)
        return unique


def _is_job(line: str) -> bool:
    return bool(line) and not line.startswith("#") and _VARIABLE.fullmatch(line) is None


def _split(line: str) -> tuple[str, str]:
    """Returns a job's expression and the rest of its line."""
    line = line.removeprefix("-")  # cronie: do not log it
    count = 1 if line.startswith("@") else FIELDS
    words = line.split(None, count)
    expr = " ".join(words[:count])
    return _NICKNAMES.get(expr.lower(), expr.lower() if count == 1 else expr), (
        words[count] if words[count:] else ""
    )


def _unescaped(command: str) -> list[str]:
    r"""Returns the command and the lines of its input: `%` ends a line, and `\%` is a percent sign."""
    return [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", command)]
