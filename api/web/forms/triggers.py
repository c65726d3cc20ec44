"""The form of a kind of trigger, built from its config and the fields that all triggers have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.resources.base import given
from api.schemas.triggers import TriggerIn, TriggerPatch, TriggerSettings
from api.web.forms.fields import Input, inputs_of, read, same_lines, show
from api.web.forms.validation import errors_in_words, of_input
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.field_errors import InvalidRequest
from scheduler.domain.json_values import merge_patch
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.registry import KINDS, in_words, kind_of

Model = TypeVar("Model", bound=BaseModel)
CONFIG = "config."
DEFAULTED = ("check", "choices")
"""Inputs that are never empty; default values are not stored."""
NAME = Input("name", "Name", required=True, can_be_null=False)


class WrongFields(InvalidField):
    """Fields of the form are invalid; `errors` has each message by the name of its input."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        count = len(errors)
        super().__init__(
            f"{count} fields need your attention." if count > 1 else "One field needs your attention."
        )
        self.errors = dict(errors)


@cache
def form_of(kind_name: str) -> Sequence[Input]:
    """Returns all inputs of a type's form in order: the kind's own first, the optional ones collapsed."""
    kind = kind_of(kind_name)
    own = list(inputs_of(kind, CONFIG, secrets=kind.secrets))
    first = [each for name in kind.main_fields for each in own if _is_of(each, name)]
    rest = [replace(each, is_folded=True) for each in own if each not in first]
    if not kind.main_fields:
        first, rest = own, []
    return (NAME, *first, *rest, *inputs_of(TriggerSettings))


def _is_of(each: Input, field: str) -> bool:
    return each.name == CONFIG + field or each.name.startswith(f"{CONFIG}{field}.")


def first_values(kind_name: str) -> dict[str, str]:
    """Returns the inputs' values for a new trigger."""
    return {each.name: show(each, each.default) for each in form_of(kind_name)}


def values_of(trigger: TriggerView) -> dict[str, str]:
    """Returns the inputs' values for a trigger, without secrets."""
    return {each.name: show(each, _held(trigger, each)) for each in form_of(trigger.type)}


def _held(trigger: TriggerView, each: Input) -> Any:
    value: Any = {"config": trigger.config} if each.name.startswith(CONFIG) else trigger
    for part in each.name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return each.default if value is None and not each.group else value


def new_trigger(kind_name: str, form: Mapping[str, str]) -> TriggerIn:
    """Reads the trigger of a form, without empty fields. Raises WrongFields."""
    fields, errors = read_form(kind_name, form)
    body = _checked(TriggerIn, fields, errors)
    _check_config(kind_of(kind_name), fields["config"], errors)
    if errors or body is None:
        raise WrongFields(errors)
    return body


def read_form(kind_name: str, form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads a form as the fields of a TriggerIn, and the errors by the name of the input."""
    fields: dict[str, Any] = {"type": kind_name, "config": {}}
    errors: dict[str, str] = {}
    for each in form_of(kind_name):
        if each.kind == "choices" and each.name not in form:
            continue
        try:
            value = read(each, form.get(each.name, ""))
        except InvalidField as error:
            errors[each.name] = error.message
            continue
        if value is not None and (each.kind not in DEFAULTED or value != (each.default or False)):
            _put(fields, each.name, value)
    return fields, errors


def words_of_form(form: Mapping[str, str]) -> str:
    """Describes when a form's trigger fires; empty without a description."""
    kind = form.get("type", "")
    return in_words(kind, read_form(kind, form)[0]["config"]) if kind in KINDS else ""


def changes(trigger: TriggerView, form: Mapping[str, str]) -> dict[str, Any]:
    """Returns the patch (RFC 7396) between a trigger and the form. Raises WrongFields.

    Untouched fields are not in it, so the form changes nothing that it cannot show.
    """
    errors: dict[str, str] = {}
    changed: dict[str, Any] = {}
    for each, value in _touched(trigger, form, errors):
        _put(changed, each.name, value if value is not None or each.can_be_null else each.default)
    if "config" in changed:
        _drop_empty_groups(trigger, form, changed["config"])
        kind = kind_of(trigger.type)
        _check_config(kind, merge_patch(trigger.config, changed["config"]), errors, kind.secrets)
    body = _checked(TriggerPatch, {**changed, "config": changed.get("config", {})}, errors)
    if errors or body is None:
        raise WrongFields(errors)
    return {name: value for name, value in given(body).items() if name in changed}


def _touched(trigger: TriggerView, form: Mapping[str, str], errors: dict[str, str]) -> Iterator[tuple[Input, Any]]:
    before = values_of(trigger)
    for each in form_of(trigger.type):
        text = same_lines(form.get(each.name, ""))
        if text == same_lines(before[each.name]) or (each.kind == "choices" and each.name not in form):
            continue
        if each.is_secret and not text.strip():
            continue
        try:
            yield each, read(each, text)
        except InvalidField as error:
            errors[each.name] = error.message


def _drop_empty_groups(trigger: TriggerView, form: Mapping[str, str], config: dict[str, Any]) -> None:
    """Removes an object whose fields in the form are all empty, including its secret."""
    for group in {each.group for each in form_of(trigger.type) if each.group}:
        name = group.removeprefix(CONFIG)
        inside = [each for each in form_of(trigger.type) if each.group == group and each.kind != "check"]
        if name in config and not any(form.get(each.name, "").strip() for each in inside):
            config[name] = None


def merged_config(trigger: TriggerView, form: Mapping[str, str]) -> dict[str, Any]:
    """Returns the trigger's config with the form's changes, without secrets. Raises WrongFields."""
    return merge_patch(trigger.config, changes(trigger, form).get("config", {}))


def errors_of(error: ReveilleError, kind_name: str) -> dict[str, str]:
    """Returns each invalid field's message by the name of its input; those of no input are under `""`."""
    if isinstance(error, WrongFields):
        return error.errors
    names = [each.name for each in form_of(kind_name)]
    if isinstance(error, InvalidRequest):
        return {of_input(each.field, names): each.message for each in error.errors}
    return {of_input(error.field or "", names): error.message.removeprefix(f"{error.field}: ")}


def _checked(model: type[Model], fields: Mapping[str, Any], errors: dict[str, str]) -> Model | None:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        errors.update(errors_in_words(error, "", [NAME, *inputs_of(TriggerSettings)]) | errors)
        return None


def _check_config(
    kind: type[TriggerConfig], config: Mapping[str, Any], errors: dict[str, str], kept: Sequence[str] = ()
) -> None:
    """Adds the errors of a config's shape to `errors`; secrets that are `kept` do not count as missing."""
    try:
        kind.model_validate(dict(config))
    except ValidationError as error:
        said = errors_in_words(error, CONFIG, form_of(kind.kind))
        missed = {CONFIG + path for path in kept}
        errors.update({name: text for name, text in said.items() if name not in missed | errors.keys()})


def _put(fields: dict[str, Any], path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        fields = fields.setdefault(part, {})
    fields[last] = value
