"""`reveille init` writes a starter file; `reveille dev` shows wakes as they come."""

from __future__ import annotations

import json
import secrets
import shlex
import signal
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Annotated, Any

import typer

from scheduler.commands.console import Console, client_command
from scheduler.commands.definitions import read_bundle, references, send
from scheduler.commands.exits import UsageFault, print_error
from scheduler.commands.output import say, show_json
from scheduler.domain.clock import SystemClock
from scheduler.domain.errors import NotFound, ReveilleError

USUAL_FILE = "reveille.yaml"
LIFE = timedelta(hours=12)
"""After this the agents expire, in case this command was killed."""
MAX_BODY = 32 * 1024 * 1024
REPLY = {"reply": "Seen by reveille dev."}
Wake = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Adds the commands to the root command."""
    app.command("init")(init)
    client_command(app, "dev")(dev)


def init(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="The file to write.")] = USUAL_FILE,
) -> None:
    """Write a starter file of definitions.

    An existing file is never overwritten.
    """
    from scheduler.definitions.starter import STARTER

    path = Path(file)
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(STARTER.format(name=path.name))
    except FileExistsError:
        raise UsageFault(f"{file} exists, and is not overwritten; name another file.") from None
    say(f"Wrote {file}. Edit it, then: reveille apply -f {file}")


def dev(
    console: Console,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Definitions to try; without any: one with a webhook."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The local port; default: any free one.")] = 0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many wakes.")] = None,
) -> None:
    """Show wakes as they come, until Ctrl-C.

    Makes temporary agents on the running service, which it answers itself, prints each wake with its payload, and
    deletes the agents at the end.
    """
    wakes: SimpleQueue[Wake] = SimpleQueue()
    with _stopped_like_ctrl_c(), _listening(port, wakes) as url:
        made = _make(console, file or [], url)
        try:
            _show(console, wakes, count)
        finally:
            _remove(console, made)


def _make(console: Console, files: list[str], url: str) -> dict[str, str]:
    """Makes the temporary agents; returns their ids by name."""
    mark = f"dev-{secrets.token_hex(2)}"
    bundle = read_bundle(files)
    body = bundle.body(references()) if files else _one_agent()
    ours = {str(agent.get("name")): f"{agent.get('name')} {mark}" for agent in body["agents"]}
    expires_at = (SystemClock().now() + LIFE).isoformat()
    for agent in body["agents"]:
        agent |= {
            "name": ours[str(agent.get("name"))],
            "runtime": {"kind": "http", "url": url},
            "expires_at": expires_at,
        }
        agent.pop("mcp_servers", None)
        agent.pop("renamed_from", None)
    triggers = [each for each in body["triggers"] if each.get("agent") in ours]
    for trigger in triggers:
        trigger["agent"] = ours[trigger["agent"]]
        trigger.pop("renamed_from", None)
        config = trigger.get("config")
        if isinstance(config, dict) and config.get("from_agent") in ours:
            config["from_agent"] = ours[config["from_agent"]]
    if not body["agents"]:
        raise UsageFault("There is no agent in these files.")
    asked = {"agents": body["agents"], "triggers": triggers, "set": mark}
    answer = send(console, bundle, "definitions", asked)
    names = set(ours.values())
    made = {each["name"]: str(each["id"]) for each in console.client.every("agents") if each["name"] in names}
    if not console.as_json:
        _tell(answer, made, {(each["agent"], each["name"]) for each in triggers if _is_signed(each)})
    return made


def _is_signed(trigger: Mapping[str, Any]) -> bool:
    config = trigger.get("config")
    return isinstance(config, Mapping) and bool(config.get("signature"))


def _one_agent() -> dict[str, Any]:
    agent = {"name": "agent", "dedup_delay_seconds": 1.0}
    return {"agents": [agent], "triggers": [{"agent": "agent", "name": "doorbell", "type": "webhook"}]}


def _tell(answer: Mapping[str, Any], made: Mapping[str, str], signed: AbstractSet[tuple[str, str]]) -> None:
    """Tells what was made, and how to wake it: a webhook that wants a signature refuses a plain call."""
    for name in made:
        say(f"Created the agent {name!r}; it is deleted when this command ends.")
    for change in answer["changes"]:
        if change["hook_url"]:
            path = f"{change['agent']}/{change['name']}"
            is_signed = (change["agent"], change["name"]) in signed
            call = (
                f"reveille triggers fire {shlex.quote(path)}"
                if is_signed
                else f"curl -d hello {change['hook_url']}"
            )
            say(f"{'Fire' if is_signed else 'Post to'} {path}:  {call}")
    say("Waiting for wakes. Press Ctrl-C to stop.")


def _remove(console: Console, made: Mapping[str, str]) -> None:
    for name, agent_id in made.items():
        try:
            console.client.delete("agents", agent_id)
        except NotFound:
            continue
        except ReveilleError as error:
            print_error(f"The agent {name!r} could not be deleted: {error.message} It expires within 12 hours.")
            continue
        if not console.as_json:
            say(f"Deleted the agent {name!r}.")


def _show(console: Console, wakes: SimpleQueue[Wake], count: int | None) -> None:
    shown = 0
    while count is None or shown < count:
        wake = wakes.get()
        shown += 1
        if console.as_json:
            show_json(wake)
        else:
            _print(wake)


def _print(wake: Wake) -> None:
    """Prints a wake: who, why, what came with each firing, and what the agent would read."""
    firings = wake["firings"]
    say(f"\n=== {wake['agent']['name']} is woken by {len(firings)} {'firing' if len(firings) == 1 else 'firings'}")
    say(f"invocation {wake['invocation_id']}, attempt {wake['attempt']}")
    for firing in firings:
        trigger = firing["trigger"]
        say(f"\n--- {trigger['name']} ({trigger['type']}) at {firing['fired_at']}")
        for name in ("reason", "focus_ref"):
            if trigger[name]:
                say(f"{name}: {trigger[name]}")
        if firing["slot_count"] > 1:
            say(
                f"slots: {firing['slot_count']}, from {firing['first_scheduled_for']} to {firing['scheduled_for']}"
            )
        for name in ("payload", "payload_base64", "data"):
            if firing[name] is not None:
                say(f"{name}: {_readable(firing[name])}")
    say(f"\n--- context\n{wake['context']}")


def _readable(value: object) -> str:
    """Returns JSON indented, and other text as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


@contextmanager
def _listening(port: int, wakes: SimpleQueue[Wake]) -> Iterator[str]:
    """Answers wakes on this machine; yields the address, which nobody else can guess."""
    path = f"/wake/{secrets.token_urlsafe(16)}"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
            body = self.rfile.read(length)
            is_ours = self.path == path
            if is_ours:
                wakes.put(json.loads(body))
            answer = json.dumps(REPLY if is_ours else {}).encode()
            self.send_response(HTTPStatus.OK if is_ours else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()


@contextmanager
def _stopped_like_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM end the command as Ctrl-C does, so that nothing is left behind."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
