#!/usr/bin/env python3
"""Wakes a coding agent of the command line: Claude Code, Codex or Gemini CLI.

    wake_coder.py claude|codex|gemini [--directory DIR] [--state DIR] [--program PATH] [-- OPTIONS OF THE TOOL]

For Reveille's `command` runtime: the request comes on stdin, and the answer is one JSON object on stdout, with the
reply and its usage. An agent keeps one conversation, whose id is kept by the agent's id. What the tool says while it
works is appended to a log beside it. An invocation that comes again after it was done is answered from there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

MAX_LOG_BYTES = 10_000_000
"""The size at which a log is set aside when the next run starts."""
FORGOTTEN = re.compile(
    r"\b(no|not|cannot|invalid|unknown)\b[^\n]{0,80}\b(conversation|session|thread|rollout)", re.I
)
"""What the tools print for an unknown conversation."""
FAILED, WRONG_DATA, NOT_FOUND = 1, 65, 127
"""Exit statuses as `command` interprets them: retried, and permanent."""


@dataclass
class Turn:
    """What a tool has said so far."""

    session: str | None = None
    reply: str = ""
    error: str | None = None
    is_over: bool = False
    usage: dict[str, Any] = field(default_factory=dict)


class Claude:
    """Claude Code: `claude -p`. Its stream ends with the object that `--output-format json` gives alone."""

    program = "claude"

    def command(self, session: str | None, options: list[str]) -> list[str]:
        """Returns the arguments."""
        resumed = ["--resume", session] if session else []
        return ["-p", "--output-format", "stream-json", "--verbose", *resumed, *options]

    def take(self, event: dict[str, Any], turn: Turn) -> None:
        """Reads one object of its output."""
        turn.session = event.get("session_id") or turn.session
        if event.get("type") != "result":
            return
        turn.is_over = True
        turn.reply = str(event.get("result") or "")
        if event.get("is_error") or event.get("subtype", "success") != "success":
            turn.error = turn.reply or str(event.get("subtype"))
        # What small models did beside it, such as a title, is in the cost and in modelUsage, but not in usage.
        used = list((event.get("modelUsage") or {}).values()) or [event.get("usage") or {}]
        counts = [(name.lower().replace("_", ""), number) for each in used for name, number in each.items()]
        for kind in ("input", "output"):
            names = (f"{kind}tokens", f"cacheread{kind}tokens", f"cachecreation{kind}tokens")
            turn.usage[f"{kind}_tokens"] = sum(number or 0 for name, number in counts if name in names)
        turn.usage["cost"] = event.get("total_cost_usd")


class Codex:
    """Codex: `codex exec --json`, with the prompt on stdin. Its usage is that of the whole conversation so far."""

    program = "codex"

    def command(self, session: str | None, options: list[str]) -> list[str]:
        """Returns the arguments."""
        return ["exec", "--json", *options, *(["resume", session] if session else []), "-"]

    def take(self, event: dict[str, Any], turn: Turn) -> None:
        """Reads one object of its output."""
        kind, item = event.get("type"), event.get("item") or {}
        if kind == "thread.started":
            turn.session = event.get("thread_id") or turn.session
        elif kind == "item.completed" and item.get("type") == "agent_message":
            turn.reply = str(item.get("text") or "")
        elif kind == "turn.completed":
            turn.is_over = True
            used = event.get("usage") or {}
            turn.usage = {name: used.get(name) or 0 for name in ("input_tokens", "output_tokens")}
        elif kind == "turn.failed":
            turn.error = str((event.get("error") or {}).get("message") or "the turn failed")
        elif kind == "error":
            turn.error = turn.error or str(event.get("message"))


class Gemini:
    """Gemini CLI, with the prompt on stdin. It prints its session, its text and, at the end, its statistics."""

    program = "gemini"

    def command(self, session: str | None, options: list[str]) -> list[str]:
        """Returns the arguments."""
        return ["--output-format", "stream-json", *(["--resume", session] if session else []), *options]

    def take(self, event: dict[str, Any], turn: Turn) -> None:
        """Reads one object of its output, also the only one of `--output-format json`."""
        kind = event.get("type")
        turn.session = event.get("session_id") or turn.session
        if kind == "message" and event.get("role") == "assistant":
            said = str(event.get("content") or "")
            turn.reply = turn.reply + said if event.get("delta") else said
        elif kind in ("tool_use", "tool_result"):
            turn.reply = ""  # text before it continued working is not part of the reply
        elif kind == "result":
            self._end(event, turn, failed=event.get("status") not in (None, "success"))
        elif kind is None and ("response" in event or "error" in event):
            turn.reply = str(event.get("response") or "")
            self._end(event, turn, failed=event.get("error") is not None)

    def _end(self, event: dict[str, Any], turn: Turn, *, failed: bool) -> None:
        turn.is_over = True
        if failed:
            turn.error = str((event.get("error") or {}).get("message") or "it failed")
        stats = event.get("stats") or {}
        tokens = [(each.get("tokens") or {}) for each in (stats.get("models") or {}).values()]
        turn.usage = {
            "input_tokens": stats.get("input_tokens") or sum(each.get("prompt") or 0 for each in tokens),
            "output_tokens": stats.get("output_tokens") or sum(each.get("candidates") or 0 for each in tokens),
        }


TOOLS: dict[str, Claude | Codex | Gemini] = {"claude": Claude(), "codex": Codex(), "gemini": Gemini()}


@dataclass
class Memory:
    """The stored state of one agent: its conversation, the usage reported so far, and its last answer."""

    path: Path
    session: str | None = None
    invocation: str | None = None
    answer: dict[str, Any] | None = None
    told: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Memory:
        """Reads it; unreadable content is ignored."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, kept["session"], kept["invocation"], kept["answer"], kept.get("told") or {})
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def write(self) -> None:
        """Writes it atomically."""
        kept = {name: value for name, value in vars(self).items() if name != "path"}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(self.path)

    def news(self, used: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Returns the usage since the last report, and stores the total."""
        before = {} if is_new or any(used[each] < self.told.get(each, 0) for each in used) else self.told
        self.told = used or ({} if is_new else self.told)
        return {each: number - before.get(each, 0) for each, number in used.items()}


def objects_in(lines: Iterator[str], log: TextIO) -> Iterator[dict[str, Any]]:
    """Yields the JSON objects of an output, one per line or a single one; everything is logged immediately."""
    rest: list[str] = []
    for line in lines:
        log.write(line)
        log.flush()
        try:
            found = json.loads(line)
        except ValueError:
            rest.append(line)
            continue
        if isinstance(found, dict):
            yield found
    text = "".join(rest)
    if "{" in text:
        try:
            yield json.loads(text[text.index("{") :])
        except ValueError:
            return


def run(tool: Claude | Codex | Gemini, command: Sequence[str], prompt: str, directory: Path, log: TextIO) -> Turn:
    """Runs the tool to its end. Raises OSError when it cannot be started."""
    turn = Turn()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=directory,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise OSError("it has no pipes")
        try:
            process.stdin.write(prompt)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended without reading; its output says why
        for event in objects_in(iter(process.stdout.readline, ""), log):
            tool.take(event, turn)
    if process.returncode and turn.error is None:
        turn.error = f"{command[0]} ended with status {process.returncode}"
    if not turn.is_over and turn.error is None:
        turn.error = f"{command[0]} ended without a result"
    return turn


def is_forgotten(turn: Turn, said: str) -> bool:
    """Whether the tool failed because it no longer knows the conversation."""
    failed = turn.error is not None and not any(turn.usage.values())
    return failed and FORGOTTEN.search(f"{turn.error}\n{said}") is not None


def open_log(path: Path) -> TextIO:
    """Opens the log; a large one is set aside."""
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("a", encoding="utf-8")


def answer(request: dict[str, Any], options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Wakes the tool once. Returns the answer and the status."""
    agent, invocation = str(request["agent"]["id"]), str(request["invocation_id"])
    options.state.mkdir(parents=True, exist_ok=True)
    memory = Memory.read(options.state / f"{agent}.json")
    if memory.invocation == invocation and memory.answer is not None:
        return memory.answer, 0
    tool = TOOLS[options.tool]
    with open_log(options.state / f"{agent}.log") as log:
        log.write(json.dumps({"invocation_id": invocation, "attempt": request.get("attempt")}) + "\n")
        log.flush()
        for session in dict.fromkeys((memory.session, None)):
            command = [options.program or tool.program, *tool.command(session, options.rest)]
            began = log.tell()
            turn = run(tool, command, str(request["context"]), options.directory, log)
            told = Path(log.name).read_bytes()[began:][-4000:].decode("utf-8", "replace")
            if session is None or not is_forgotten(turn, told):
                break
            turn.session = memory.session = None
        if turn.error is not None and not turn.is_over:
            turn.error += "".join(f": {each.strip()}" for each in told.splitlines()[-1:] if each[:1] != "{")
    if isinstance(tool, Codex):
        turn.usage = memory.news(turn.usage, is_new=session is None)
    memory.session = turn.session or memory.session
    said = {"reply": turn.reply, "usage": {name: value for name, value in turn.usage.items() if value is not None}}
    if turn.error is None:
        memory.invocation, memory.answer = invocation, said
    memory.write()
    if turn.error is not None:
        sys.stderr.write(f"{turn.error}\n")
    return said, 0 if turn.error is None else FAILED


def main() -> int:
    """Reads the request, wakes the tool and prints its answer."""
    parser = argparse.ArgumentParser(
        description="Wakes a coding agent for Reveille's `command` runtime.",
        epilog="What stands after -- are options of the tool itself.",
    )
    parser.add_argument("tool", choices=sorted(TOOLS))
    parser.add_argument("--directory", type=Path, default=Path.home(), help="where it works")
    parser.add_argument(
        "--state", type=Path, default=Path.home() / ".reveille-coders", help="what is kept of agents"
    )
    parser.add_argument("--program", help="the tool's path, if it is not in PATH")
    given = sys.argv[1:]
    own = given[: given.index("--")] if "--" in given else given
    options = parser.parse_args(own)
    options.rest = given[len(own) + 1 :]
    os.umask(0o077)  # conversations are private
    try:
        said, status = answer(json.load(sys.stdin), options)
    except (ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"stdin is no request of Reveille's: {error!r}\n")
        return WRONG_DATA
    except FileNotFoundError as error:
        sys.stderr.write(f"there is no {error.filename}\n")
        return NOT_FOUND
    sys.stdout.write(json.dumps(said) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
