"""Keeps the secrets that a person typed while their form is shown again: sealed in the page, never in clear.

Each secret input of such a page has a hidden field `kept:NAME` with what was typed, encrypted with the service's
key. The next post puts it back where its input was left empty. It is bound to the session, the form and the input,
and lasts LIFETIME; anything else is refused, and has to be typed again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import request

from api.services import services
from api.web.session import session_token
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.field_errors import FieldError, InvalidRequest
from scheduler.domain.ids import token_hash

KEPT = "kept:"
"""The prefix of the hidden field beside a secret input."""
FORGET = "forget:"
"""The prefix of the checkbox that drops what was typed."""
LIFETIME = timedelta(minutes=15)


class KeptSecrets:
    """The secret inputs `names` of a form; `form` tells it from all others."""

    def __init__(self, form: str, names: Collection[str]) -> None:
        self._form = form
        self._names = names
        self._lost: list[FieldError] = []

    def put_back(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Returns `texts` with what the request's form has kept for inputs that were left empty."""
        found = dict(texts)
        for name in self._names:
            sealed = request.form.get(KEPT + name, "")
            if not sealed or _is_typed(found.get(name)) or request.form.get(FORGET + name):
                continue
            opened = self._opened(name, sealed)
            if opened is None:
                self._lost.append(FieldError(field=name, rule="kept", message="This was not kept: type it again."))
            else:
                found[name] = opened
        return found

    def check(self) -> None:
        """Raises InvalidRequest for the inputs whose kept secret could not be put back."""
        if self._lost:
            raise InvalidRequest(self._lost)

    def sealed(self, texts: Mapping[str, Any]) -> dict[str, str]:
        """Returns the hidden field's value for each secret input with a text, by the input's name."""
        return {name: self._seal(name, texts[name]) for name in self._names if _is_typed(texts.get(name))}

    def without(self, texts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns `texts` without the secrets, for the page."""
        return {name: text for name, text in texts.items() if name not in self._names}

    def _seal(self, name: str, text: str) -> str:
        until = services().clock.now() + LIFETIME
        return seal([*self._bound_to(name), until.timestamp(), text])

    def _opened(self, name: str, sealed: str) -> str | None:
        """Returns the text in a hidden field; None when it is another's, too old, or none at all."""
        match unseal(sealed):
            case [str() as session, str() as form, str() as field, float() as until, str() as text]:
                is_ours = [session, form, field] == self._bound_to(name)
                return text if is_ours and services().clock.now() < datetime.fromtimestamp(until, UTC) else None
        return None

    def _bound_to(self, name: str) -> list[str]:
        return [session_mark(session_token()), self._form, name]


def _is_typed(text: str | None) -> bool:
    return bool(text and text.strip())


def session_mark(token: str) -> str:
    """Tells sessions apart in what is sealed, by another hash of their `token` than the one in the addresses of
    pages.
    """
    return token_hash(f"sealed for {token}").hex()


def seal(value: object) -> str:
    """Encrypts a JSON value, so that only this service can read it."""
    return services().box.encrypt(json.dumps(value)).decode("ascii")


def unseal(sealed: str) -> object:
    """Decrypts a value from `seal`; None for anything else."""
    try:
        value: object = json.loads(services().box.decrypt(sealed.encode()))
    except (ConfigurationError, ValueError):
        return None
    return value
