"""`reveille simulate`: what definitions would do, beside today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from scheduler.commands.console import Console, client_command
from scheduler.commands.definitions import read_bundle, references, send
from scheduler.commands.exits import print_error, printable
from scheduler.commands.output import Columns, say, show_json, show_table
from scheduler.commands.trigger_options import parse_duration
from scheduler.definitions.rates import parse_rate

AGENT_COLUMNS: Columns = (
    ("AGENT", "name"),
    ("", "when"),
    ("FIRINGS", "firings"),
    ("WAKES", "wakes"),
    ("MERGED", "merged"),
    ("LARGEST", "largest"),
    ("MEAN WAIT", "mean"),
    ("LONGEST", "longest"),
    ("HELD", "held"),
    ("TOKENS", "tokens"),
    ("COST", "cost"),
)
CHANGE_COLUMNS: Columns = (("AT", "at"), ("TRIGGER", "trigger"), ("SLOTS", "slots"), ("", "kind"), ("", "text"))


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "simulate", {"rates": "--rate", "run_seconds": "--run"})(simulate)


def simulate(
    console: Console,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="Definitions, as for apply; default: the existing ones."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="How many days: past ones, or with --rate future.")
    ] = 30,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AGENT/TRIGGER=N/h", help="Arrival rates to simulate: N per s, m, h or d. Repeatable."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="30s|5m", help="How long a run takes; default: as measured.")
    ] = None,
    tokens: Annotated[float | None, typer.Option(min=0, help="Tokens per wake; default: as measured.")] = None,
    cost: Annotated[float | None, typer.Option(min=0, help="Cost of a wake; default: as measured.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the random moments.")] = 0,
) -> None:
    """Show what definitions would do, beside today.

    Over the recorded firings, or over made-up ones: wakes, merges, tokens and cost, and clock changes two years
    ahead. Nothing is changed.
    """
    bundle = read_bundle(file or [])
    body = bundle.body(references()) | {
        "days": days,
        "rates": [parse_rate(each) for each in rate or []],
        "run_seconds": None if run is None else parse_duration("--run", run),
        "tokens": tokens,
        "cost": cost,
        "seed": seed,
    }
    answer = send(console, bundle, "simulations", body)
    if console.as_json:
        show_json(answer)
        return
    say(f"From {answer['start']} to {answer['end']}")
    show_table([*_rows(answer["agents"])], AGENT_COLUMNS, empty="There are no agents.")
    say("")
    show_table(
        [each | {"trigger": f"{each['agent']}/{each['name']}"} for each in answer["clock_changes"]],
        CHANGE_COLUMNS,
        empty="No clock change in the next two years affects these schedules.",
    )
    for note in answer["notes"]:
        print_error(printable(note))


def _rows(agents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for agent in agents:
        for when in ("today", "proposed"):
            figures = agent[when]
            row: dict[str, Any] = {"name": agent["name"], "when": when}
            if figures is not None:
                row |= figures | {
                    "mean": _duration(figures["mean_wait"]),
                    "longest": _duration(figures["longest_wait"]),
                    "tokens": f"{figures['tokens']:,.0f}",
                    "cost": f"{figures['cost']:,.2f}",
                }
            rows.append(row)
    return rows


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
