"""The ranges of addresses that are not public: both ends of each one, its neighbours, and IPv4 inside of IPv6."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from crawl_producer.special_addresses import RANGES, behind, special

#: Written by hand from IANA's registries: first and last address of each range.
ENDS = {
    "0.0.0.0/8": ("0.0.0.0", "0.255.255.255"),
    "10.0.0.0/8": ("10.0.0.0", "10.255.255.255"),
    "100.64.0.0/10": ("100.64.0.0", "100.127.255.255"),
    "127.0.0.0/8": ("127.0.0.0", "127.255.255.255"),
    "169.254.0.0/16": ("169.254.0.0", "169.254.255.255"),
    "172.16.0.0/12": ("172.16.0.0", "172.31.255.255"),
    "192.0.0.0/24": ("192.0.0.0", "192.0.0.255"),
    "192.0.2.0/24": ("192.0.2.0", "192.0.2.255"),
    "192.88.99.0/24": ("192.88.99.0", "192.88.99.255"),
    "192.168.0.0/16": ("192.168.0.0", "192.168.255.255"),
    "198.18.0.0/15": ("198.18.0.0", "198.19.255.255"),
    "198.51.100.0/24": ("198.51.100.0", "198.51.100.255"),
    "203.0.113.0/24": ("203.0.113.0", "203.0.113.255"),
    "224.0.0.0/4": ("224.0.0.0", "239.255.255.255"),
    "240.0.0.0/4": ("240.0.0.0", "255.255.255.255"),
    "::/3": ("0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "::/96": ("::2", "::ffff:ffff"),
    "::/128": ("::", "::"),
    "::1/128": ("::1", "::1"),
    "64:ff9b:1::/48": ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    "100::/64": ("100::", "100::ffff:ffff:ffff:ffff"),
    "100:0:0:1::/64": ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),
    "2001::/23": ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "2001:db8::/32": ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    "3fff::/20": ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "4000::/2": ("4000::", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "5f00::/16": ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "8000::/1": ("8000::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fc00::/7": ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fe80::/10": ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fec0::/10": ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "ff00::/8": ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
}
#: Public addresses just outside.
PUBLIC = [
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.1.255"),
    *("192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"),
    *("198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"),
    *("2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
    *("2001:db9::", "2001:4860:4860::8888", "2606:4700:4700::1111", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    *("3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]


def test_every_range_is_tried():
    assert ENDS.keys() == RANGES.keys()


@pytest.mark.parametrize("network", ENDS)
def test_a_range_is_not_public_from_its_first_address_to_its_last(network):
    for end in ENDS[network]:
        assert str(special(ip_address(end))) == network


@pytest.mark.parametrize("network", ENDS)
def test_the_neighbours_of_a_range_are_not_in_it(network):
    wide = ip_network(network)
    kind = type(wide.network_address)
    below, above = int(wide.network_address) - 1, int(wide.broadcast_address) + 1
    for neighbour in (below, above):
        if 0 <= neighbour < 2**wide.max_prefixlen:
            assert special(kind(neighbour)) != wide


@pytest.mark.parametrize("address", PUBLIC)
def test_beside_the_ranges_all_is_public(address):
    assert special(ip_address(address)) is None


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16"],
)
def test_the_metadata_of_clouds_is_not_public_but_for_one_that_is(address):
    # Azure's is a public address, which answers only with a header field that a crawl cannot be made to send.
    assert (special(ip_address(address)) is None) == (address == "168.63.129.16")


@pytest.mark.parametrize(
    ("address", "ends"),
    [
        ("192.0.2.33", ["192.0.2.33"]),
        ("::ffff:192.0.2.33", ["192.0.2.33"]),
        ("::ffff:0.0.0.0", ["0.0.0.0"]),
        ("::ffff:255.255.255.255", ["255.255.255.255"]),
        ("64:ff9b::192.0.2.33", ["192.0.2.33"]),
        ("64:ff9b::ffff:ffff", ["255.255.255.255"]),
        ("64:ff9b:1::192.0.2.33", ["64:ff9b:1::c000:221", "192.0.2.33"]),
        ("64:ff9b:1:ffff:ffff:ffff:7f00:1", ["64:ff9b:1:ffff:ffff:ffff:7f00:1", "127.0.0.1"]),
        ("2002:c000:221::1", ["192.0.2.33"]),
        ("2002:7f00:1:ffff:ffff:ffff:ffff:ffff", ["127.0.0.1"]),
        # The example of RFC 4380, 2.8: by way of 65.54.227.120, to 192.0.2.45.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", ["65.54.227.120", "192.0.2.45"]),
        ("2001:1::1", ["2001:1::1"]),
        ("2003::7f00:1", ["2003::7f00:1"]),
        ("64:ff9b:2::7f00:1", ["64:ff9b:2::7f00:1"]),
        ("::fffe:127.0.0.1", ["::fffe:7f00:1"]),
    ],
)
def test_an_ipv6_address_may_hold_the_ipv4_addresses_that_packets_go_to(address, ends):
    assert [str(end) for end in behind(ip_address(address))] == ends


def test_an_address_with_a_zone_is_judged_like_one_without():
    assert special(IPv6Address("fe80::1%eth0")) == ip_network("fe80::/10")


def test_of_ipv4_nothing_is_unwrapped():
    assert behind(IPv4Address("127.0.0.1")) == (IPv4Address("127.0.0.1"),)
