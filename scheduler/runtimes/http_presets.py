"""Presets: settings of `http` agents for popular products. Each is a data file in `presets`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from config.plugins import with_plugins
from scheduler.domain.errors import ConfigurationError, InvalidField
from scheduler.domain.field_errors import message_of
from scheduler.domain.json_values import merge_headers
from scheduler.domain.shapes import Shape
from scheduler.domain.templates import names_in
from scheduler.runtimes.http_settings import HttpSettings

FOLDER = Path(__file__).with_name("presets")
TOKEN = "token"  # noqa: S105  # the name of a placeholder
S = TypeVar("S", bound=HttpSettings)


class Parameter(Shape):
    """A value that a preset needs, by the name that its templates use."""

    description: str
    default: str | None = None
    """Without it, the parameter is required."""


class Preset(Shape):
    """One product: its description, its parameters, and the settings to call it."""

    label: str
    summary: str
    docs: str
    url: str
    """Its default address."""
    needs_token: bool = False
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    settings: dict[str, Any]

    def described(self, name: str) -> dict[str, Any]:
        """Describes it for people."""
        parameters = [{"name": each, **parameter.model_dump()} for each, parameter in self.parameters.items()]
        return self.model_dump(exclude={"settings"}) | {"name": name, "parameters": parameters}

    def check(self, given: HttpSettings) -> None:
        """Raises InvalidField for settings that lack a parameter of the preset, or name an unknown one."""
        known = ", ".join(f"{name} ({each.description})" for name, each in self.parameters.items()) or "none"
        own = given.parameters or {}
        taken = names_in([given.body, given.path])
        for name in own:
            if name not in self.parameters and name not in taken:
                raise InvalidField(
                    f"The preset {given.preset} has no parameter {name!r}; it has: {known}.",
                    field=f"runtime.parameters.{name}",
                )
        merged_names = names_in([given.path or self.settings.get("path"), given.body or self.settings.get("body")])
        for name, each in self.parameters.items():
            if each.default is None and name not in own and name in merged_names:
                raise InvalidField(
                    f"The preset {given.preset} needs the parameter {name}: {each.description}.",
                    field="runtime.parameters",
                )
        if self.needs_token and not given.token and not _covers(given.headers, self.settings.get("headers")):
            raise InvalidField(f"The preset {given.preset} needs a token.", field="runtime.token")


def _covers(own: Mapping[str, str] | None, preset: Mapping[str, str] | None) -> bool:
    """Whether the agent's own headers replace those with the token."""
    named = {name.lower() for name in own or {}}
    return all(name.lower() in named for name, value in (preset or {}).items() if TOKEN in names_in(value))


def read_preset(name: str, text: str) -> Preset:
    """Reads a preset's file. Raises ConfigurationError naming the invalid field."""
    try:
        return checked_preset(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The preset {name} is not TOML: {error}.") from None


def checked_preset(name: str, content: Mapping[str, Any]) -> Preset:
    """Returns a preset with this content. Raises ConfigurationError naming the invalid field."""
    try:
        preset = Preset.model_validate(content)
        HttpSettings.model_validate({"kind": "http", "url": preset.url, **preset.settings})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        part = "settings." if error.title == "HttpSettings" else ""
        said = message_of(first).rstrip(".")
        raise ConfigurationError(f"The preset {name} is wrong at {part}{place}: {said}.") from None
    return preset


@cache
def presets() -> Mapping[str, Preset]:
    """Returns all presets, by name: those of the folder, and those of installed packages (`reveille.presets`)."""
    files = sorted(FOLDER.glob("*.toml"))
    ours = {each.stem: read_preset(each.stem, each.read_text(encoding="utf-8")) for each in files}
    return MappingProxyType(with_plugins("reveille.presets", ours, _named))


def _named(plugin: object) -> tuple[str, Preset]:
    """Reads the preset of a package: a dictionary with its `name` and what a file has."""
    if not isinstance(plugin, Mapping):
        raise TypeError("it is not a dictionary with name, label, summary, docs, url and settings")
    name = plugin.get("name")
    return str(name), checked_preset(str(name), {key: each for key, each in plugin.items() if key != "name"})


def no_preset(name: str) -> str:
    """Says that there is no such preset, and which is nearest, or which there are."""
    near = get_close_matches(name.lower(), presets(), n=1)
    there = f"the nearest is {near[0]}" if near else f"the presets are {', '.join(presets())}"
    return f"There is no preset {name!r}; {there}."


def preset_of(name: str) -> Preset:
    """Returns one preset. Raises InvalidField."""
    found = presets().get(name)
    if found is None:
        raise InvalidField(no_preset(name), field="runtime.preset")
    return found


def merged(given: S) -> S:
    """Returns the settings with the preset's in place of omitted ones. Raises InvalidField for an unknown preset."""
    if given.preset is None:
        return given
    preset = preset_of(given.preset)
    defaults = {name: each.default for name, each in preset.parameters.items() if each.default is not None}
    own = given.model_dump(exclude_none=True)
    whole = preset.settings | own
    whole["headers"] = merge_headers(preset.settings.get("headers", {}), own.get("headers", {}))
    whole["parameters"] = defaults | own.get("parameters", {})
    if "accepted" in own and "async" not in own:
        whole.pop("async", None)
    if "async" in own and "accepted" not in own:
        whole.pop("accepted", None)
    return given.model_validate(whole)
