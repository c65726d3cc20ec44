"""Which addresses count as public."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from scheduler.net.addresses import unwrap, why_not_public

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.53",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.7",
    "192.80.8.124",
    "192.88.99.2",
    "192.168.4.4",
    "198.18.5.5",
    "198.51.100.9",
    "203.0.113.9",
    "224.0.0.251",
    "239.1.1.1",
    "241.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:0:808:808",
    "64:ff9b:1::808:808",
    "100::9",
    "2001::1",
    "2001:2::1",
    "2001:20::5",
    "2001:db8:9::1",
    "2002:808:808::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fd12:3456::1",
    "fe80::abcd",
    "fec0::1",
    "ff0e::1",
]
PUBLIC = [
    "1.0.0.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "128.0.0.0",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.88.100.0",
    "198.20.0.0",
    "203.0.114.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:db9::1",
    "2003::1",
    "2a00:1450::5",
    "3fff:1000::1",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text: str) -> None:
    assert why_not_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_neighbours_of_special_ranges_are_public(text: str) -> None:
    assert why_not_public(ip_address(text)) is None


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::", "2a00:1450::5efe:", "2a00:1450::200:5efe:"])
@pytest.mark.parametrize(("inner", "public"), [("8.8.4.4", True), ("10.9.8.7", False), ("169.254.1.1", False)])
def test_an_ipv4_address_inside_ipv6_decides(prefix: str, inner: str, public: bool) -> None:
    assert (why_not_public(ip_address(prefix + inner)) is None) is public


def test_the_reason_names_the_range_and_the_inner_address() -> None:
    reason = why_not_public(ip_address("64:ff9b::10.0.0.1"))
    assert reason == "NAT64 form of 10.0.0.1: private network, RFC 1918"


def test_only_ipv4_mapped_addresses_are_unwrapped() -> None:
    assert unwrap(ip_address("::ffff:1.2.3.4")) == ip_address("1.2.3.4")
    assert unwrap(ip_address("64:ff9b::1.2.3.4")) == ip_address("64:ff9b::1.2.3.4")
