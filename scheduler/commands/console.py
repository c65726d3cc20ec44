"""Shared parts of client commands: the options, the client, and the output."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, get_args

import typer
from typer.models import OptionInfo

from scheduler.commands.exits import UsageFault, print_error, printable
from scheduler.commands.lookup import agent_names, checked_id, name_among, tenant_id
from scheduler.commands.output import Columns, View, say, show_details, show_json, show_table
from scheduler.domain.errors import Forbidden, NotFound, ReveilleError

if TYPE_CHECKING:
    from scheduler.commands.client import Client  # imports httpx, which is slow

P = ParamSpec("P")
Command = Callable[Concatenate["Console", P], None]

OF_AGENT = "agent_id"
Limit = Annotated[int, typer.Option(min=1, max=200, help="The maximum number of results.")]
After = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Continue after this cursor from an earlier response.")
]


@dataclass(frozen=True)
class Console:
    """A command's client and output."""

    client: Client
    as_json: bool
    view: View = field(default_factory=View)

    def listing(
        self,
        path: Sequence[str],
        columns: Columns,
        what: str,
        *,
        limit: int,
        after: str | None,
        named: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> None:
        """Shows a page of the listing at `path`."""
        cursor = None if after is None else checked_id(self.client, after, "cursor", *path)
        page = self.client.get(*path, **(query or {}), limit=limit, after=cursor)
        self.table(page, columns, what, named=None if named is None else lambda: named(page["items"]))

    def table(
        self,
        page: Mapping[str, Any],
        columns: Columns,
        what: str,
        *,
        named: Callable[[], Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Shows a page `{items, next}` of a listing; `named` replaces ids in the items by names."""
        if self.as_json:
            show_json(page)
            return
        items = named() if named is not None and page["items"] else page["items"]
        self.rows(items, columns, empty=f"There are no {what}.")
        if page["next"] is not None:
            print_error(f"More: --after {page['next']}")

    def rows(self, rows: Sequence[Mapping[str, Any]], columns: Columns, *, empty: str) -> None:
        """Shows a table for people, with agents by name."""
        if rows and _shows_agents(columns):
            names = agent_names(self.client)
            rows = [{**row, OF_AGENT: name_among(names, row[OF_AGENT])} for row in rows]
        show_table(rows, columns, empty=empty, view=self.view)

    def details(self, row: Mapping[str, Any], fields: Columns) -> None:
        """Shows a single object."""
        if self.as_json:
            show_json(row)
        else:
            show_details(self._with_agent(row, fields), fields, self.view)

    def _with_agent(self, row: Mapping[str, Any], fields: Columns) -> Mapping[str, Any]:
        """Returns the row with its agent's name, if that is shown and can be read."""
        if not _shows_agents(fields) or not row[OF_AGENT]:
            return row
        with suppress(NotFound, Forbidden):
            return {**row, OF_AGENT: self.client.get("agents", row[OF_AGENT])["name"]}
        return row

    def done(self, answer: Mapping[str, Any] | None, text: str) -> None:
        """Shows the result of an action: `text`, or the API's response; with --json an empty response prints
        nothing.
        """
        if not self.as_json:
            say(text)
        elif answer is not None:
            show_json(answer)


def _shows_agents(columns: Columns) -> bool:
    return any(path == OF_AGENT for _, path in columns)


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, *, yes: bool) -> None:
    """Asks for confirmation. Raises UsageFault when there is no terminal to ask on and --yes was not given."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageFault(f"{question} There is no terminal on which to ask; pass --yes to confirm.")
    typer.confirm(printable(question), abort=True, err=True)


def client_command(
    group: typer.Typer, name: str, fields: Mapping[str, str] | None = None
) -> Callable[[Command[P]], Command[P]]:
    """Registers a command of the console client. It receives a Console made from the shared options.

    `fields` has the option for each field of the request that is not called like its option.
    """

    def register(function: Command[P]) -> Command[P]:
        def command(
            *,
            url: str | None,
            key: str | None,
            tenant: str | None,
            as_json: bool,
            wide: bool,
            utc: bool,
            **own: Any,
        ) -> None:
            with connect(url, key, tenant) as client:
                client.options |= options
                try:
                    function(Console(client, as_json, View(wide, utc)), **own)  # type: ignore[call-arg]
                except (KeyError, TypeError, AttributeError) as error:
                    raise UnexpectedResponse(
                        f"{client.url} gave an unexpected response; it may be another version of "
                        "Reveille, or another service."
                    ) from error

        command.__doc__ = function.__doc__
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        options = {field: flag for each in own for field, flag in _fields_of(each)} | {**(fields or {})}
        command.__signature__ = inspect.Signature([*own, *_SHARED])  # type: ignore[attr-defined]
        group.command(name)(command)
        return function

    return register


def _fields_of(each: inspect.Parameter) -> Iterator[tuple[str, str]]:
    """Yields the names that a field has if it is called like this parameter or its option, and the option."""
    for option in get_args(each.annotation)[1:]:
        if isinstance(option, OptionInfo):
            given = (option.default, *(option.param_decls or ()))  # typer takes the first one for a default
            flag = next((word for word in given if str(word).startswith("--")), None)
            flag = (flag or "--" + each.name.replace("_", "-")).partition("/")[0]
            yield each.name, flag
            yield flag[2:].replace("-", "_"), flag


class UnexpectedResponse(ReveilleError):
    """The service answered with JSON of another shape."""


def connect(url: str | None, key: str | None, tenant: str | None, *, timeout: float | None = None) -> Client:
    """Makes the client from the shared options and the settings."""
    from config.settings import load_settings, unknown_settings
    from scheduler.commands.client import TIMEOUT, Client

    settings = load_settings()
    if timeout is None:
        for warning in unknown_settings():
            print_error(f"reveille: {warning}")
    stored = settings.api_key.get_secret_value() if settings.api_key else None
    address = (url or settings.url).strip().rstrip("/").removesuffix("/api/v1")
    client = Client(address, key or stored, timeout or TIMEOUT)
    if tenant:
        client.act_on(tenant_id(client, tenant))
    return client


def _shared_option(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_SHARED = (
    _shared_option(
        "url",
        Annotated[str | None, typer.Option(help="The service's address; default: REVEILLE_URL.")],
        None,
    ),
    _shared_option(
        "key",
        Annotated[
            str | None, typer.Option(help="An API key. Prefer REVEILLE_API_KEY, as other users can see options.")
        ],
        None,
    ),
    _shared_option(
        "tenant",
        Annotated[
            str | None,
            typer.Option(metavar="TENANT", help="With an operator's key: the tenant to act on, id or name."),
        ],
        None,
    ),
    _shared_option(
        "wide",
        Annotated[bool, typer.Option("--wide", help="Do not fit tables to the terminal; show whole ids.")],
        False,
    ),
    _shared_option(
        "utc",
        Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of the local zone.")],
        False,
    ),
    _shared_option(
        "as_json",
        Annotated[bool, typer.Option("--json", help="Print the API's response unchanged.")],
        False,
    ),
)
