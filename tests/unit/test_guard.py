"""Whom a crawl may connect to: an address and a port, what is allowed, and what nothing allows."""

import logging
import socket
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_producer.guard import ConnectionBlocked, Guard
from crawl_producer.ports import BAD_PORTS, port


def guard(*allow, own=()):
    return Guard(map(ip_network, allow), [(ip_address(address), number) for address, number in own])


def info(address, number=80):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockaddr = (address, number, 0, 0) if ":" in address else (address, number)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sockaddr


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_what_is_public_is_allowed_to_anybody(address):
    assert guard().refusal(address, 443) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("0.0.0.0", "0.0.0.0/8"),
        ("::1", "'::1/128'"),
        ("fd00:ec2::254", "'fc00::/7'"),
    ],
)
def test_a_refusal_says_what_would_allow_it(address, network):
    assert guard().refusal(address, 80) == (
        f"{address} is not a public address; allow_networks: [{network}] in exchanges.yaml lets the crawl go there"
    )
    assert guard(network.strip("'")).refusal(address, 80) is None


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "2001:0:7f00:1::f7f7:f7f7",
        "2001:0:808:808::80ff:fffe",
    ],
)
def test_an_ipv4_address_inside_of_an_ipv6_one_is_refused_and_allowed_as_itself(address):
    assert f"{address} (127.0.0.1) is not a public address; allow_networks: [127.0.0.0/8]" in guard().refusal(
        address, 80
    )
    assert guard("127.0.0.0/8").refusal(address, 80) is None
    assert guard(address).refusal(address, 80) is None


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_judged_otherwise_inside_of_an_ipv6_one(address):
    number, far = int(address), int(ip_address("8.8.8.8"))
    forms = [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x64FF9B << 96 | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
        IPv6Address(0x20010000 << 96 | number << 64 | ~far & 0xFFFFFFFF),
        IPv6Address(0x20010000 << 96 | far << 64 | ~number & 0xFFFFFFFF),
    ]
    refused = guard().refusal(str(address), 80) is not None
    assert [guard().refusal(str(form), 80) is not None for form in forms] == [refused] * len(forms)


def test_local_translation_to_ipv4_is_refused_whatever_it_holds():
    assert "64:ff9b:1::/48" in guard().refusal("64:ff9b:1::8.8.8.8", 80)
    assert "64:ff9b:1::/48" in guard("127.0.0.0/8").refusal("64:ff9b:1::127.0.0.1", 80)
    assert guard("64:ff9b:1::/48").refusal("64:ff9b:1::127.0.0.1", 80) is None


def test_what_is_no_address_is_refused():
    assert guard("0.0.0.0/0", "::/0").refusal("1.2.3.4.5", 80) == "1.2.3.4.5 is no address"


def test_what_is_allowed_ends_where_its_network_ends():
    allowing = guard("10.1.0.0/16", "fd00:1::/32")
    for inside in ("10.1.0.0", "10.1.255.255", "fd00:1::", "fd00:1:ffff:ffff:ffff:ffff:ffff:ffff"):
        assert allowing.refusal(inside, 80) is None
    for outside in ("10.0.255.255", "10.2.0.0", "fd00:0:ffff:ffff:ffff:ffff:ffff:ffff", "fd00:2::", "127.0.0.1"):
        assert "not a public address" in allowing.refusal(outside, 80)


@pytest.mark.parametrize("number", sorted(BAD_PORTS))
def test_the_ports_of_other_protocols_are_refused_wherever_they_are(number):
    for address in ("8.8.8.8", "127.0.0.1"):
        assert f"port {number} is another protocol's" in guard("0.0.0.0/0").refusal(address, number)


@pytest.mark.parametrize("number", [80, 443, 8000, 8080, 8443, 65535])
def test_other_ports_are_not(number):
    assert guard().refusal("8.8.8.8", number) is None


OWN = [("192.0.2.5", 6379), ("2001:db8::5", 5672), ("9.9.9.9", 15672)]


@pytest.mark.parametrize(
    ("address", "number"),
    [
        *OWN,
        ("::ffff:192.0.2.5", 6379),
        ("64:ff9b::192.0.2.5", 6379),
        ("64:ff9b:1::192.0.2.5", 6379),
        ("2002:c000:205::", 6379),
    ],
)
def test_our_own_servers_are_refused_even_where_all_is_allowed(address, number):
    assert "is RabbitMQ or Redis" in guard("0.0.0.0/0", "::/0", own=OWN).refusal(address, number)


@pytest.mark.parametrize(("address", "number"), [("192.0.2.5", 80), ("192.0.2.6", 6379), ("9.9.9.9", 443)])
def test_beside_our_own_servers_others_are_not(address, number):
    assert guard("0.0.0.0/0", "::/0", own=OWN).refusal(address, number) is None


@pytest.mark.parametrize("own", ["127.0.0.1", "::1", "0.0.0.0"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_a_server_of_this_machine_is_refused_at_every_address_of_it(own, address):
    allowing = guard("0.0.0.0/0", "::/0", own=[(own, 6379)])
    assert "is RabbitMQ or Redis" in allowing.refusal(address, 6379)
    assert allowing.refusal(address, 6380) is None
    assert allowing.refusal("192.0.2.5", 6379) is None


def test_a_socket_is_made_where_it_is_allowed_and_of_the_kind_that_was_asked_for():
    with guard("127.0.0.0/8").socket_for(info("127.0.0.1")) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
    with guard("::1").socket_for(info("::1")) as made:
        assert made.family == socket.AF_INET6


def test_no_socket_is_made_where_it_is_refused_and_the_reason_goes_along():
    with pytest.raises(ConnectionBlocked, match=r"^127\.0\.0\.1 is not a public address"):
        guard().socket_for(info("127.0.0.1"))


def test_of_each_range_one_warning_is_written_and_no_more(caplog):
    caplog.set_level(logging.WARNING)
    guarding = guard()
    for address in ("10.0.0.1", "10.0.0.2", "192.168.0.1", "10.0.0.1"):
        with pytest.raises(ConnectionBlocked):
            guarding.socket_for(info(address))
    assert [record.getMessage().split(" is ")[0] for record in caplog.records] == [
        "blocked: 10.0.0.1",
        "blocked: 192.168.0.1",
    ]


def test_a_guard_shows_what_it_allows():
    assert repr(guard("10.0.0.0/8", own=OWN)) == "<Guard: public addresses and 10.0.0.0/8, 3 servers of our own>"


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("http://a.example/", 80),
        ("https://a.example/x:9/", 443),
        ("https://a.example:8443/", 8443),
        ("http://[::1]/", 80),
        ("http://[2001:db8::25]:8080/", 8080),
    ],
)
def test_the_port_of_a_url(url, number):
    assert port(url) == number
