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
        try:
            Webhook(each).verify(text, lower)
        except WebhookVerificationError as error:
            reason = str(error)
        except UnicodeEncodeError:
            reason = "the body is not UTF-8"
        else:
            call = json.loads(text)
            if not isinstance(call, dict):
                raise SignatureError("The body is no call of Reveille's.")
            return call
    raise SignatureError(f"The request was not signed by Reveille: {reason}.")
