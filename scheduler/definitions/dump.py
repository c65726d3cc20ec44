"""Writes values as YAML that `yaml_text` reads back unchanged."""

from __future__ import annotations

from typing import Any

import yaml

from scheduler.definitions.yaml_text import resolve


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Quotes a text that would be read as something else, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if not isinstance(resolve(value), str):
        style = '"'
    elif "\n" in value.strip("\n") and all(char.isprintable() or char == "\n" for char in value):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(value: Any) -> str:
    """Returns `value`, which JSON can carry, as YAML."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return text
