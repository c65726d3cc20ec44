"""The options for a trigger: those of its type and config, which the kinds declare, and those of all triggers."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import typer

from scheduler.commands.exits import UsageFault
from scheduler.domain import local_time
from scheduler.triggers.options import Option

if TYPE_CHECKING:
    from scheduler.commands.console import Console
    from scheduler.manage.triggers.spec import SettableField

READ_AS: Mapping[object, tuple[Literal["text", "flag", "duration", "number"], str | None]] = {
    bool: ("flag", None),
    int: ("number", "N"),
    float: ("duration", "60s|5m"),
    datetime: ("text", "TIME"),
}
"""How an option is read for a field of each type, and what its help calls the value."""
DEFAULT_COOLDOWN = 60.0
"""In seconds; the API's own default."""
MINUTE = 60.0
MAX_NAMED = 60
"""The longest option value that becomes part of a trigger's name."""

Kinds = Mapping[str, tuple[Option, ...]]
"""The options of each type."""

Type = Annotated[
    str | None, typer.Option("--type", help="See docs/triggers; not needed with an option specific to one type.")
]
ConfigJson = Annotated[
    str | None, typer.Option("--config", metavar="JSON|@FILE", help="The config as JSON for the API.")
]


def options_of_kinds() -> dict[str, tuple[Option, ...]]:
    """Returns the options of each type that people can create.

    Slow to import, so only commands that need it call it.
    """
    from scheduler.triggers.registry import OFFERED

    return {name: kind.options for name, kind in OFFERED.items()}


def options_of_all_triggers() -> tuple[Option, ...]:
    """Returns an option for each field of all triggers. Slow to import, so only commands that need it call it."""
    from scheduler.manage.triggers.spec import settable_fields

    return tuple(map(_option_of, settable_fields()))


def _option_of(each: SettableField) -> Option:
    """A field's option: what follows `; null` in its help is for JSON alone."""
    setting = each.setting
    flag = setting.flag or "--" + each.name.replace("_", "-")
    said = re.sub(r"; null.*", ".", setting.help)
    if setting.choices:
        return Option(flag, each.name, said, "choice", "|".join(setting.choices), choices=setting.choices)
    own = next(part for part in (*get_args(each.type), each.type) if part is not NoneType)
    reads, metavar = READ_AS.get(own, ("text", None))
    return Option(flag, each.name, said, reads, metavar)


def options_of_runtimes() -> dict[str, tuple[Option, ...]]:
    """Returns the options of each runtime. Slow to import, so only commands that need it call it."""
    from scheduler.runtimes.registry import RUNTIMES

    return {name: runtime.options for name, runtime in RUNTIMES.items()}


def with_options(
    function: Callable[..., None], kinds: Kinds, common: Sequence[Option] = ()
) -> Callable[..., None]:
    """Adds a parameter for each option of the kinds, and each common one, to `function`, whose last parameter receives
    their values by flag.
    """

    def command(*args: Any, **given: Any) -> None:
        own = {flag: given.pop(_name(flag)) for flag in flags}
        function(*args, **given, own={flag: value for flag, value in own.items() if value})

    flags = {option.flag: option for option in (*common, *_all(kinds))}
    *rest, _ = inspect.signature(function, eval_str=True).parameters.values()
    added = [_parameter(flag, option, kinds) for flag, option in flags.items()]
    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*rest, *added])  # type: ignore[attr-defined]
    return command


def shape(
    kind_name: str | None, config: str | None, own: Mapping[str, Any], kinds: Kinds
) -> tuple[str, dict[str, Any]]:
    """Returns the trigger's type and config. Raises UsageFault when the options are incomplete or contradictory."""
    chosen = kind_name or implied(own, kinds)
    if chosen is None:
        hints = ", ".join(option.flag for option in _all(kinds) if option.implies and option.reads != "flag")
        raise UsageFault(f"Choose what wakes the agent: {hints}, or --type with --config.")
    return chosen, put_options(dict(read_json_object("--config", config)), chosen, own, kinds)


def put_options(whole: dict[str, Any], chosen: str, own: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """Applies the options to `whole`. Raises UsageFault for one that the chosen type does not have."""
    allowed = {option.flag: option for option in kinds.get(chosen, ())}
    for flag, value in own.items():
        if flag not in allowed:
            raise UsageFault(f"{flag} cannot be used with {chosen}.")
        _put(whole, allowed[flag], value)
    return whole


def name_options(console: Console, kind: str, config: str | None, own: Mapping[str, Any]) -> None:
    """Lets errors name the options of the kind, unless its config was given as JSON."""
    console.client.options["type"] = "--type"
    if config is None:
        console.client.options |= fields_of(options_of_kinds().get(kind, ()), own, "config.")


def fields_of(options: Iterable[Option], own: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """Returns the option for each field below `under`. Of several options for one, the one that was given counts."""
    ordered = sorted(options, key=lambda option: option.flag in own)
    return {under + option.field: _with_unit(option) for option in ordered}


def _with_unit(option: Option) -> str:
    unit = "minutes" if option.unit_seconds == MINUTE else "seconds"
    return f"{option.flag} (in {unit})" if option.reads == "duration" else option.flag


def default_name(kind_name: str, config: Mapping[str, Any], own: Mapping[str, Any], kinds: Kinds) -> str:
    """Names a trigger after its schedule in words, else after its type and the first option that identifies it."""
    from scheduler.triggers.registry import in_words

    if words := in_words(kind_name, config):
        return words[:1].lower() + words[1:]
    options = (each for each in kinds.get(kind_name, ()) if each.reads in ("text", "duration"))
    said = next((str(own[each.flag]) for each in options if each.flag in own), "")
    said = _host_of(said) if "://" in said else said
    is_readable = said and "*" not in said and len(said) <= MAX_NAMED
    return f"{kind_name} {said}" if is_readable else kind_name


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def _all(kinds: Kinds) -> Iterator[Option]:
    return (option for options in kinds.values() for option in options)


def implied(own: Mapping[str, Any], kinds: Kinds) -> str | None:
    """Returns the type that the options imply. An option of several types only counts if no other option decides."""
    said = {
        name: [option.flag for option in options if option.implies and option.flag in own]
        for name, options in kinds.items()
    }
    said = {name: flags for name, flags in said.items() if flags}
    taking = [name for name in said if all(flag in {option.flag for option in kinds[name]} for flag in own)]
    if len(taking) == 1:
        return taking[0]
    if len(said) > 1:
        named = " and ".join(flags[0] for flags in said.values())
        raise UsageFault(f"{named} cannot be combined; choose one.")
    return next(iter(said), None)


def _put(config: dict[str, Any], option: Option, value: Any) -> None:
    *parents, last = option.field.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = _read(option, value)


def _read(option: Option, value: Any) -> Any:
    if option.reads == "flag":
        return option.value
    if option.reads == "duration":
        return parse_duration(option.flag, value) / option.unit_seconds
    if option.reads == "pairs":
        return _read_pairs(option.flag, value)
    if option.reads == "number":
        return _read_number(option.flag, value)
    if option.reads == "choice":
        return _read_choice(option, value)
    return read_text(option.flag, value) if option.reads == "secret" else value


def _read_number(flag: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageFault(f"{flag} {text[:40]!r} is not a whole number.")
    return int(text)


def _read_choice(option: Option, text: str) -> str:
    if text not in option.choices:
        raise UsageFault(f"{option.flag} {text[:40]!r} is not one of {', '.join(option.choices)}.")
    return text


def _read_pairs(flag: str, text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise UsageFault(f"{flag} {text[:40]!r} is not of the form name=text,name=text.")
    return {name.strip(): value for name, _, value in pairs}


def _parameter(flag: str, option: Option, kinds: Kinds) -> inspect.Parameter:
    having = [name for name, options in kinds.items() if any(each.flag == flag for each in options)]
    text = f"{', '.join(having)}: {option.help}" if having else option.help
    is_flag = option.reads == "flag"
    annotation = Annotated[bool if is_flag else str | None, typer.Option(flag, metavar=option.metavar, help=text)]  # type: ignore[valid-type]
    default = False if is_flag else None
    return inspect.Parameter(_name(flag), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _name(flag: str) -> str:
    return "option_" + flag.strip("-").replace("-", "_")


def parse_duration(option: str, text: str) -> float:
    """Parses `20s`, `1.5h` and the like into seconds; a bare number is refused."""
    seconds = local_time.parse_duration(text)
    if seconds is None:
        raise UsageFault(f"{option} {text[:40]!r} is not a duration; write it as 20s, 5m, 2h or 1d.")
    return seconds


def default_cooldown(kind: str, config: Mapping[str, Any]) -> float | None:
    """Returns the cooldown in seconds: at most the step of an even grid; None leaves it to the API."""
    from pydantic import ValidationError

    from scheduler.triggers.registry import CLOCKED, KINDS

    try:
        step = KINDS[kind].model_validate(dict(config)).step() if kind in CLOCKED else None
    except ValidationError:
        return None  # the API reports the error
    seconds = 0.0 if step is None else step.total_seconds()
    return seconds if 0 < seconds < DEFAULT_COOLDOWN else None


def fires_by_the_clock(kind: str) -> bool:
    """Whether a preview can tell when triggers of this type fire."""
    from scheduler.triggers.registry import CLOCKED

    return kind in CLOCKED


def read_json_object(option: str, text: str | None) -> Mapping[str, Any]:
    """Parses a JSON object, or the file after an `@`; empty without a text."""
    given = read_text(option, text)
    if given is None:
        return {}
    try:
        value = json.loads(given)
    except RecursionError:
        raise UsageFault(f"{option} is nested too deeply.") from None
    except ValueError as error:
        raise UsageFault(f"{option} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UsageFault(f'{option} must be a JSON object such as {{"seconds": 20}}.')
    return value


def read_text(option: str, text: str | None) -> str | None:
    """Returns the text itself, or the content of the file after an `@`, so that a secret need not be an argument."""
    if text is None or not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageFault(f"{option}: {text[1:]} cannot be read: {reason}.") from None
