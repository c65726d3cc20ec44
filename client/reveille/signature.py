"""Verifies the signature of a wake (Standard Webhooks, https://www.standardwebhooks.com)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from reveille.errors import SignatureError


def verify(headers: Mapping[str, str], body: bytes | str, secret: str | Sequence[str]) -> dict[str, Any]:
    """Returns the call if it was signed with `secret`, or with one of several, within the last five minutes.

    `body` is the raw request body. Raises SignatureError.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    text = body if isinstance(body, str) else body.decode("utf-8", "surrogateescape")
    reason = "no secret was given"
    for each in [secret] if isinstance(secret, str) else secret:
        webhook = Webhook(each)
        try:
            webhook.verify(text, lower)
        except WebhookVerificationError as error:
            reason = str(error).rstrip(".")
        except UnicodeEncodeError:
            reason = "the body is not UTF-8"
        except (ValueError, RecursionError):  # what is not even of the form
            reason = "the signature or the body is malformed"
        else:
            return _call_in(text)
    raise SignatureError(f"The request was not signed by Reveille: {reason}.")


def check_secret(secret: str | Sequence[str]) -> None:
    """Raises ValueError for a secret that cannot sign, before the first call does."""
    for each in [secret] if isinstance(secret, str) else secret:
        try:
            Webhook(each)
        except Exception as error:  # noqa: BLE001  # the library has one of its own
            raise ValueError(f"The secret is none of Reveille's (whsec_ and base64): {error}.") from None


def _call_in(text: str) -> dict[str, Any]:
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict):
        raise SignatureError("The body is no call of Reveille's.")
    return call
