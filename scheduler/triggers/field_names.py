"""The names by which the fields of a config are written, where they are not those in Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo


def by_new_names(kind: type[BaseModel], config: Mapping[str, Any]) -> dict[str, Any]:
    """Renames the fields that are given by a former name, the second of their aliases."""
    named = dict(config)
    for name, field in fields_of(kind):
        alias = field.validation_alias
        for former in alias.choices[1:] if isinstance(alias, AliasChoices) else ():
            if isinstance(former, str) and former in named:
                named[name] = named.pop(former)
    return named


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Returns each field by its external name: the first of its aliases, if Python does not allow the name."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        yield first if isinstance(first, str) else name, field
