"""Request headers: which ones callers may set, and which follow a redirect."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.net.headers import after_redirect, check_headers


def test_ordinary_headers_pass() -> None:
    check_headers({"Authorization": "Bearer abc", "X-Empty": "", "accept": "a/b, c/d;q=0.5", "x-tab": "a\tb"})


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Proxy-Authorization"]
)
def test_framing_and_routing_headers_are_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="leave it out") as caught:
        check_headers({name: "x"})
    assert caught.value.field == "headers"


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä"])
def test_a_name_must_be_a_token(name: str) -> None:
    with pytest.raises(InvalidField, match="not a header name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["secret\r\nX: y", "secret\x00", "secret\u00e9", " secret", "secret "])
def test_a_value_must_be_printable_and_is_never_repeated(value: str) -> None:
    with pytest.raises(InvalidField, match="X-Key") as caught:
        check_headers({"X-Key": value})
    assert "secret" not in caught.value.message


HEADERS = {"Authorization": "a", "X-Api-Key": "b", "Cookie": "c", "Accept": "d", "Content-Type": "e"}


def test_the_same_origin_keeps_all_headers() -> None:
    assert after_redirect(HEADERS, same_origin=True, with_body=True) == HEADERS


def test_another_origin_sees_no_secret_by_any_name() -> None:
    assert after_redirect(HEADERS, same_origin=False, with_body=True) == {"Accept": "d", "Content-Type": "e"}


def test_a_dropped_body_takes_its_headers_along() -> None:
    assert "Content-Type" not in after_redirect(HEADERS, same_origin=True, with_body=False)
