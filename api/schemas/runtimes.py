"""Runtimes in API responses: the settings of each without its secrets, derived from its input shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from api.schemas.base import Answer
from scheduler.runtimes.base import RuntimeConfig
from scheduler.runtimes.registry import RUNTIMES


class RuntimeOut(Answer):
    """A runtime."""

    kind: str


def _out(runtime: type[RuntimeConfig]) -> type[Answer]:
    """Creates a runtime's output shape; secrets that are shown once are included, and null afterwards."""
    fields: dict[str, Any] = dict(_fields(runtime))
    words = f"{runtime.label}: {runtime.summary}."
    return create_model(f"{runtime.__name__}Out", __base__=Answer, __doc__=words, **fields)


def _fields(runtime: type[RuntimeConfig]) -> Iterator[tuple[str, Any]]:
    for name, field in runtime.model_fields.items():
        if name == "kind":
            yield name, (field.annotation, ...)
        elif name not in runtime.secrets:
            yield name, (_plain(field.annotation), _shown(field, is_folded=name not in runtime.main_fields))
        elif name in runtime.shown_once:
            yield name, (_plain(field.annotation) | None, None)


def _shown(field: FieldInfo, *, is_folded: bool) -> Any:
    """Leaves out collapsed fields without a value; required fields are always present."""
    if field.is_required():
        return Field()
    if field.default_factory is not None:
        return Field(default_factory=field.default_factory)
    if field.default is None and is_folded:
        return Field(None, exclude_if=lambda value: value is None)
    return Field(field.default)


def _plain(annotation: Any) -> Any:
    """Returns a type without its constraints, as stored values are shown whatever is allowed now."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(parts[0])
    if origin is Literal:
        return str
    if origin in (Union, UnionType):
        return Union[tuple(_plain(part) for part in parts)]  # noqa: UP007  # made of parts
    return origin[tuple(_plain(part) for part in parts)] if origin is not None and parts else annotation


def _known(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Returns only the kind of a runtime whose package is no longer installed."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return validate(value) if kind in RUNTIMES or not isinstance(kind, str) else RuntimeOut(kind=kind)


def _dumped(value: Any, dump: SerializerFunctionWrapHandler) -> Any:
    return {"kind": value.kind} if type(value) is RuntimeOut else dump(value)


class _Described:
    """Documents only the installed runtimes, not what is shown of missing ones."""

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        while core["type"] == "function-wrap":
            core = core["schema"]
        return handler(core)


if TYPE_CHECKING:
    AnyRuntimeOut = RuntimeOut
else:
    AnyRuntimeOut = Annotated[
        Annotated[Union[tuple(map(_out, RUNTIMES.values()))], Field(discriminator="kind")],  # noqa: UP007
        WrapValidator(_known),
        WrapSerializer(_dumped),
        _Described,
    ]
