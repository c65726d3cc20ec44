"""/openapi.json, and /docs: Swagger UI, served from the installed package so that it works offline."""

from __future__ import annotations

from importlib.resources import files

from flask import Blueprint, Response, current_app
from flask_openapi.openapi import OpenAPI

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reveille API</title>
<link rel="stylesheet" href="/docs/swagger/css/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger/js/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", persistAuthorization: true});
"""
POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

docs = Blueprint(
    "docs",
    __name__,
    static_folder=str(files("flask_openapi_swagger").joinpath("templates", "swagger")),
    static_url_path="/docs/swagger",
)


@docs.get("/docs")
def show_docs() -> Response:
    """Show the interactive API documentation."""
    return Response(PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


@docs.get("/docs/start.js")
def start() -> Response:
    """Serve its start script as a separate file, so that the page needs no inline script."""
    return Response(START, content_type="text/javascript; charset=utf-8")


@docs.get("/openapi.json")
def openapi() -> Response:
    """Return the API's OpenAPI 3 description, generated from the shapes that validate the requests."""
    app = current_app
    assert isinstance(app, OpenAPI)  # noqa: S101  # create_app made it
    return Response(app.json.dumps(app.api_doc), content_type="application/json")
