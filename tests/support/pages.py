"""Calls the pages as a browser would, with cookies, forms and their hidden fields, through Flask's test client."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.api import Api

HIDDEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Browser:
    """A client that keeps cookies and submits forms with the page's token."""

    def __init__(self, api: Api) -> None:
        self.client: FlaskClient = api.app.test_client()

    def get(self, path: str, status: int = 200, **query: str) -> str:
        """Returns the text of a page, which must have `status`."""
        response = self.client.get(path, query_string=query or None)
        assert response.status_code == status, f"{path}: {response.status_code} {response.text}"
        return response.text

    def token(self, page: str = "/tenant") -> str:
        """Returns the token of the forms of `page`."""
        found = HIDDEN.search(self.client.get(page, follow_redirects=True).text)
        assert found, f"{page} holds no form"
        return found[1]

    def post(self, path: str, *, csrf: str | None = None, **fields: Any) -> TestResponse:
        """Submits a form, with the right token unless another is given."""
        fields["csrf"] = self.token() if csrf is None else csrf
        return self.client.post(path, data=fields)

    def sign_in(self, **fields: str) -> TestResponse:
        """Submits the sign-in form."""
        return self.post("/sign-in", csrf=self.token("/sign-in"), **fields)


def signed_in(api: Api, key: str | None = None) -> Browser:
    """Returns a browser signed in with `key`, or with the operator's."""
    browser = Browser(api)
    response = browser.sign_in(key=key or api.key or "")
    assert (response.status_code, response.location) == (303, "/"), response.text
    return browser
