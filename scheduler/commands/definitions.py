"""`reveille apply, export, schema`: definitions as code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.commands.console import Console, client_command
from scheduler.commands.definition_diff import show_changes
from scheduler.commands.exits import UsageFault, print_error, printable
from scheduler.commands.output import say, show_json

if TYPE_CHECKING:
    from scheduler.definitions.files import Bundle

DIFFERENT = 3
"""The exit code of `apply --dry-run` when something would change."""
Files = Annotated[
    list[str],
    typer.Option(
        "--file", "-f", metavar="FILE", help="A YAML or JSON file, a folder, or - for stdin. Repeatable."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the root command."""
    client_command(app, "apply")(apply)
    client_command(app, "export")(export)
    app.command("schema")(schema)


def apply(
    console: Console,
    file: Files,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change; the exit code is 3 if anything would.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what apply created and the files no longer contain.")
    ] = False,
    set_name: Annotated[
        str,
        typer.Option("--set", metavar="NAME", help="Files applied together; pruning affects only its own set."),
    ] = "default",
) -> None:
    """Make agents and triggers as files define them.

    All or nothing: with any error nothing is changed. A second time changes nothing.
    """
    bundle = read_bundle(file)
    if prune and not bundle.has_sections:
        raise UsageFault(
            "there is no section in what -f names, and --prune would delete everything of the set; "
            "if that is meant, write 'agents: []' in a file."
        )
    body = bundle.body(references()) | {"set": set_name, "dry_run": dry_run, "prune": prune}
    answer = send(console, bundle, "definitions", body)
    if console.as_json:
        show_json(answer)
    else:
        show_changes(answer)
    if dry_run and answer["changes"]:
        raise typer.Exit(DIFFERENT)


def export(console: Console) -> None:
    """Print what there is as a file for apply.

    All models, agents, triggers, targets and channels, without secrets.
    """
    from scheduler.definitions.yaml_text import dump_yaml

    answer = console.client.get("definitions")
    sections = {name: answer[name] for name in ("models", "agents") if answer[name]}
    if console.as_json:
        show_json(sections)
        return
    lines = ["# Exported by reveille. Secrets are not included: each {env: NAME} names the variable to set before"]
    lines += ["# `reveille apply -f FILE` makes this elsewhere. Where a secret is stored already, it stays."]
    lines += [f"# Left out: {each}." for each in answer["left_out"]]
    say("\n".join([*lines, "", dump_yaml(sections).rstrip() if sections else "# There is nothing yet."]))


def schema() -> None:
    """Print the JSON Schema of definitions."""
    from scheduler.commands.definition_schema import definition_schema

    show_json(definition_schema())


def read_bundle(names: list[str]) -> Bundle:
    """Reads the named files."""
    from scheduler.definitions.files import read_files

    return read_files(names, sys.stdin.buffer.read)


def references() -> Any:
    """Returns what looks up references in this process's environment and files."""
    from config.settings import read_variable
    from scheduler.definitions.references import References

    return References(read_variable)


def send(console: Console, bundle: Bundle, path: str, body: Mapping[str, Any]) -> Any:
    """Sends definitions; tells errors with the places in the files."""
    from scheduler.commands.client import Refused

    try:
        return console.client.post_whole(path, body=body)
    except Refused as refusal:
        for error in refusal.errors:
            print_error(printable(bundle.told(error["field"], error["message"])))
        count = len(refusal.errors)
        raise UsageFault(f"{count} {'error' if count == 1 else 'errors'}; nothing was changed.") from None
