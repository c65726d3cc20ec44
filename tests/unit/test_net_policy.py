"""The rules for URLs that need no name server, and the operator's list."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.domain.errors import ConfigurationError
from scheduler.net.errors import UrlRefused
from scheduler.net.policy import MAX_URL_LENGTH, VARIABLE, AllowedPrivate, check_url, normal_host

NOTHING = AllowedPrivate()


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://shop.example", "http://shop.example/"),
        ("HTTPS://Shop.EXAMPLE:443/A?b=C#d", "https://shop.example/A?b=C"),
        ("http://shop.example:8443/", "http://shop.example:8443/"),
        ("http://shop.example:/x", "http://shop.example/x"),
        ("http://shop.example.?q", "http://shop.example/?q"),
        ("http://my_service-1.example/", "http://my_service-1.example/"),
        ("https://Käse.example/", "https://xn--kse-qla.example/"),
        ("http://shop\u3002example/", "http://shop.example/"),
        ("http://9.9.9.9:1024/", "http://9.9.9.9:1024/"),
        ("http://0x09.9.9.011/", "http://9.9.9.9/"),
        ("http://151587081/", "http://9.9.9.9/"),
        ("http://\uff19.9.9.9/", "http://9.9.9.9/"),
        ("http://[2A00:1450:0::5]/", "http://[2a00:1450::5]/"),
        ("http://[::ffff:9.9.9.9]/", "http://9.9.9.9/"),
    ],
)
def test_a_url_gets_one_form(url: str, normal: str) -> None:
    assert str(check_url(url, NOTHING)) == normal


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "http://"),
        ("shop.example/x", "http://"),
        ("//shop.example/", "http://"),
        ("http:shop.example", "http://"),
        ("ftp://shop.example/", "http://"),
        ("http://", "host"),
        ("http:///x", "host"),
        ("http://user:word@shop.example/", "credentials"),
        ("http://@shop.example/", "credentials"),
        ("http://shop.example:21/", "port"),
        ("http://shop.example:0/", "port"),
        ("http://shop.example:1023/", "port"),
        ("http://shop.example:65536/", "port"),
        ("http://shop.example:99999999999999999999/", "port"),
        ("http://shop.example:+80/", "port"),
        ("http://shop.example:\u0668\u0660/", "port"),
        ("http://shop.example:80:80/", "port"),
        ("http://shop example/", "space"),
        (" http://shop.example/", "space"),
        ("http://shop.example/\n", "space"),
        ("http://shop.example\\@other.example/", "backslash"),
        ("http://shop.example/\x00", "control"),
        ("http://shop.example/\ud800", "control"),
        ("http://shop..example/", "host"),
        ("http://.example/", "host"),
        ("http://%73hop.example/", "host"),
        ("http://shop*.example/", "host"),
        (f"http://{'a' * 64}.example/", "host"),
        (f"http://{'a.' * 127}example/", "host"),
        ("http://\u2603.example/", "international"),
        ("http://shop\uff0f.example/", "international"),
        ("http://300.1.1.1/", "IPv4"),
        ("http://1.2.3.4.5/", "IPv4"),
        ("http://08.8.8.8/", "IPv4"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://[fe80::1%eth0]/", "zone"),
        ("http://[v1.x]/", "IPv6"),
        ("http://[1.2.3.4]/", "IPv6"),
        ("http://[::1", "host"),
        ("http://localhost:8080/", VARIABLE),
        ("http://LOCALHOST./", VARIABLE),
        ("http://api.localhost/", VARIABLE),
        ("http://\u24dbocalhost/", VARIABLE),
        ("http://127.0.0.1:8080/", VARIABLE),
        ("http://0177.1/", VARIABLE),
        ("http://127.0.0.1./", VARIABLE),
        ("http://[::1]:8080/", VARIABLE),
        (f"http://shop.example/{'a' * MAX_URL_LENGTH}", "shorten"),
    ],
)
def test_a_refusal_names_the_rule_and_the_field(url: str, part: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        check_url(url, NOTHING)
    assert part in caught.value.message
    assert caught.value.field == "url"
    assert caught.value.permanent


def test_a_refusal_does_not_repeat_credentials() -> None:
    with pytest.raises(UrlRefused) as caught:
        check_url("http://user:hunter2@shop.example/", NOTHING)
    assert "hunter2" not in caught.value.message


_PIECES = st.sampled_from(
    [
        "http",
        "https",
        ":",
        "/",
        "//",
        "@",
        "[",
        "]",
        "?",
        "#",
        "%",
        "\\",
        ".",
        "127.0.0.1",
        "::1",
        "0x7f",
        "1",
        "a",
    ]
)


@given(st.one_of(st.text(), st.lists(st.one_of(_PIECES, st.characters())).map("".join)))
@example("http://a\u200d/")
@example("http://xn--a/")
@example("http://xn--zzzzzzz/\u00e9|<>")
def test_any_text_is_refused_or_has_one_meaning(url: str) -> None:
    try:
        parsed = check_url(url, NOTHING)
    except UrlRefused:
        return
    assert check_url(str(parsed), NOTHING) == parsed
    sent = httpx.URL(str(parsed))
    assert (
        sent.scheme,
        sent.raw_host.decode(),
        sent.port or {"http": 80, "https": 443}[sent.scheme],
    ) == parsed.origin


@pytest.mark.parametrize(
    ("listed", "host", "address", "opened"),
    [
        ("intranet", "intranet", "10.0.0.1", True),
        ("intranet", "other", "10.0.0.1", False),
        ("Intranet.", "intranet", "10.0.0.1", True),
        ("Käse.example", "xn--kse-qla.example", "10.0.0.1", True),
        ("10.0.0.0/8", "other", "10.200.0.1", True),
        ("10.0.0.0/8", "other", "11.0.0.1", False),
        ("10.0.0.5", "10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.6", "10.0.0.6", False),
        ("a, [::1] ,,fd00::/8", "x", "::1", True),
        ("a, [::1] ,,fd00::/8", "x", "fd00::9", True),
        ("::1", "x", "::1", True),
        ("0.0.0.0/0", "x", "::1", False),
        ("", "x", "127.0.0.1", False),
    ],
)
def test_the_list_opens_what_it_names(listed: str, host: str, address: str, opened: bool) -> None:
    assert AllowedPrivate.parse(listed).allows(host, ip_address(address)) is opened


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.0.0.0/40", "network"),
        ("intranet/8", "network"),
        ("localhost:0", "port"),
        ("10.0.0.5:70000", "port"),
        ("localhost:http", "without scheme"),
        ("http://localhost", "scheme"),
        ("*.internal.example", "wildcards"),
        ("[::1", "host name"),
    ],
)
def test_an_entry_that_is_not_understood_is_named(entry: str, part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AllowedPrivate.parse(f"intranet,{entry}")
    assert entry in caught.value.message
    assert part in caught.value.message
    assert VARIABLE in caught.value.message


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("127.0.0.0/8", "http://127.0.0.1:8080/"),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/"),
        ("127.0.0.1", "http://localhost:8080/"),
        ("localhost", "http://localhost:8080/"),
        ("[::1]", "http://[::1]:8080/"),
        ("169.254.169.254", "http://169.254.169.254/"),
    ],
)
def test_what_the_operator_opened_is_not_refused(listed: str, url: str) -> None:
    check_url(url, AllowedPrivate.parse(listed))


@pytest.mark.parametrize(
    ("listed", "opened", "closed"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", "http://127.0.0.1:9001/"),
        ("localhost:9000", "http://localhost:9000/", "http://localhost:9001/"),
        ("127.0.0.1:9000", "http://localhost:9000/", "http://localhost:8080/"),
        ("[::1]:9000", "http://[::1]:9000/", "http://[::1]/"),
        ("10.0.0.0/8:443", "https://10.1.2.3/", "http://10.1.2.3/"),
        ("fd00::/8:80", "http://[fd00::1]/", "https://[fd00::1]/"),
        ("Intranet:9000,127.0.0.1:9001", "http://127.0.0.1:9001/", "http://127.0.0.1:9000/"),
    ],
)
def test_a_port_opens_that_port_alone(listed: str, opened: str, closed: str) -> None:
    allowed = AllowedPrivate.parse(listed)
    check_url(opened, allowed)
    with pytest.raises(UrlRefused, match=VARIABLE):
        check_url(closed, allowed)


def test_a_name_with_a_port_is_open_at_it_alone() -> None:
    allowed = AllowedPrivate.parse("Intranet:9000")
    assert allowed.allows("intranet", ip_address("10.0.0.5"), 9000)
    assert not allowed.allows("intranet", ip_address("10.0.0.5"), 80)
    assert not allowed.allows("intranet", ip_address("10.0.0.5"))


def test_an_opened_network_does_not_open_its_transition_forms() -> None:
    with pytest.raises(UrlRefused):
        check_url("http://[64:ff9b::10.0.0.1]/", AllowedPrivate.parse("10.0.0.0/8"))


def test_an_opened_host_keeps_the_rule_on_ports() -> None:
    with pytest.raises(UrlRefused, match="port"):
        check_url("http://localhost:22/", AllowedPrivate.parse("localhost"))


def test_hosts_have_one_form() -> None:
    assert normal_host("Shop.Example.") == "shop.example"
    assert normal_host("0x7f.1") == "127.0.0.1"
