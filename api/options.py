"""OPTIONS for any address. It needs no key, as the documentation has the same information."""

from __future__ import annotations

from flask import Response, request
from flask.globals import request_ctx


def answer_options() -> Response | None:
    """Returns 204 with `Allow` (RFC 9110 section 9.3.7) for OPTIONS requests; others continue."""
    if request.method != "OPTIONS" or request.url_rule is None or request_ctx.url_adapter is None:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Allow"] = ", ".join(sorted(request_ctx.url_adapter.allowed_methods()))
    return response
