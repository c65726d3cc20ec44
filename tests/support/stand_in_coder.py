#!/usr/bin/env python3
"""Imitates the documented JSON output of a coding agent: stand_in_coder.py FOLDER claude|codex|gemini ARGUMENTS.

It records its arguments in FOLDER/calls, stores its conversations there, and does what the prompt says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

folder, tool, *arguments = Path(sys.argv[1]), *sys.argv[2:]
prompt = sys.stdin.read()
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\n")
kept = folder / "conversations"
known = json.loads(kept.read_text()) if kept.exists() else {}
word = "resume" if tool == "codex" else "--resume"
session = arguments[arguments.index(word) + 1] if word in arguments else None
if session is not None and session not in known:
    sys.exit(f"No conversation found with session ID: {session}")
session = session or f"{tool}-{len(known) + 1}"
known[session] = known.get(session, 0) + 1
kept.write_text(json.dumps(known))
said, fails = f"turn {known[session]}: {prompt}", "please fail" in prompt


def claude() -> Iterator[dict[str, Any]]:
    """Claude Code: `-p --output-format stream-json --verbose`."""
    yield {"type": "system", "subtype": "init", "session_id": session, "tools": []}
    yield {"type": "assistant", "message": {"content": [{"type": "text", "text": "…"}]}, "session_id": session}
    yield {
        "type": "result",
        "subtype": "error_max_turns" if fails else "success",
        "is_error": fails,
        "result": None if fails else said,
        "session_id": session,
        "num_turns": 1,
        "total_cost_usd": 0.25,
        "usage": {"input_tokens": 4, "cache_read_input_tokens": 100, "output_tokens": 7},
    }


def codex() -> Iterator[dict[str, Any]]:
    """Codex: `exec --json`."""
    yield {"type": "thread.started", "thread_id": session}
    yield {"type": "turn.started"}
    yield {"type": "item.completed", "item": {"id": "item_0", "type": "reasoning", "text": "hm"}}
    if fails:
        yield {"type": "turn.failed", "error": {"message": "stream disconnected"}}
        return
    yield {"type": "item.completed", "item": {"id": "item_1", "type": "agent_message", "text": said}}
    yield {
        "type": "turn.completed",
        "usage": {each: known[session] * number for each, number in (("input_tokens", 104), ("output_tokens", 7))},
    }


def gemini() -> Iterator[dict[str, Any]]:
    """Gemini CLI: `--output-format stream-json`."""
    yield {"type": "init", "session_id": session, "model": "gemini"}
    yield {"type": "message", "role": "user", "content": prompt}
    yield {"type": "message", "role": "assistant", "content": "I look.", "delta": True}
    yield {"type": "tool_use", "tool_name": "read_file", "tool_id": "1", "parameters": {}}
    yield {"type": "tool_result", "tool_id": "1", "status": "success"}
    yield {"type": "message", "role": "assistant", "content": said[:4], "delta": True}
    yield {"type": "message", "role": "assistant", "content": said[4:], "delta": True}
    stats = {"total_tokens": 111, "input_tokens": 104, "output_tokens": 7, "duration_ms": 9, "tool_calls": 1}
    error = {"error": {"type": "ApiError", "message": "quota"}} if fails else {}
    yield {"type": "result", "status": "error" if fails else "success", "stats": stats, **error}


for event in {"claude": claude, "codex": codex, "gemini": gemini}[tool]():
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
sys.exit(1 if fails else 0)
