"""`reveille models`: manages the models of llm agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import Console, client_command
from scheduler.commands.edits import Resource, deleted, edited, listed, shown
from scheduler.commands.lookup import named_id
from scheduler.commands.output import Columns
from scheduler.commands.trigger_options import read_text
from scheduler.domain.errors import ReveilleError

if TYPE_CHECKING:
    from scheduler.commands.client import Client

group = typer.Typer(help="Manage the models of llm agents.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("PROVIDER", "provider"),
    ("MODEL", "model"),
    ("ENABLED", "is_enabled"),
    ("KEY", "has_key"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("provider", "provider"),
    ("model", "model"),
    ("address", "base_url"),
    ("has a key", "has_key"),
    ("key from the variable", "key_env"),
    ("enabled", "is_enabled"),
    ("maximum output tokens", "max_output_tokens"),
    ("price of a million tokens in", "input_price"),
    ("price of a million tokens out", "output_price"),
    ("created", "created_at"),
    ("changed", "updated_at"),
)
TESTED: Columns = (
    ("answer", "text"),
    ("milliseconds", "latency_ms"),
    ("tokens in", "tokens_in"),
    ("tokens out", "tokens_out"),
)


def _model_id(client: Client, text: str) -> str:
    return named_id(client, text, "model", "models")


MODEL = Resource("model", "models", refs.Model, _model_id, FIELDS, COLUMNS)

for add in (listed, shown, edited, deleted):
    add(group, MODEL)


@client_command(group, "create", {"key": "--model-key"})
def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Unique in the tenant.")],
    provider: Annotated[
        str, typer.Option(metavar="openai|anthropic|google|openai-compatible", help="Whose protocol it speaks.")
    ],
    model: Annotated[str, typer.Option(help="The provider's name for it.")],
    model_key: Annotated[
        str | None, typer.Option("--model-key", metavar="KEY|@FILE", help="The provider's key; never shown again.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Its address, for openai-compatible.")] = None,
    given: refs.Set = None,
) -> None:
    """Create a model."""
    body: dict[str, Any] = {
        "name": name,
        "provider": provider,
        "model": model,
        "key": read_text("--model-key", model_key),
        "base_url": base_url,
    }
    whole = refs.put_fields({field: value for field, value in body.items() if value is not None}, given)
    console.details(console.client.post("models", body=whole), FIELDS)


@client_command(group, "test")
def test(console: Console, model: refs.Model) -> None:
    """Ask a model a short question.

    The exit code is 1 if it does not answer.
    """
    answer = console.client.post("models", _model_id(console.client, model), "test")
    if not answer["ok"]:
        raise ReveilleError(f"It does not answer: {answer['error']}")
    console.details(answer, TESTED)
