"""Which addresses are not public: ranges that are kept for other purposes, and IPv4 addresses inside of IPv6 ones.

The table is our own, because the standard library's has been wrong (CVE-2024-4032) and changes with its version.
https://www.iana.org/assignments/iana-ipv4-special-registry/, https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Ranges and what they are for. What IANA calls globally reachable inside of one (anycast addresses of relays and the
#: like) is refused with it: no web page is there.
RANGES = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "between a provider and its customers",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local; the metadata of clouds",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "relays of 6to4, once",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/3": "not assigned",
    "::/96": "IPv4-compatible, once",
    "::/128": "unspecified",
    "::1/128": "loopback",
    "64:ff9b:1::/48": "local translation to IPv4",
    "100::/64": "discarded",
    "100:0:0:1::/64": "a prefix that stands for none",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
    "4000::/2": "not assigned",
    "5f00::/16": "segment routing",
    "8000::/1": "not assigned",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private, once",
    "ff00::/8": "multicast",
}

#: The smallest first: of nested ranges the one that says most.
_SMALLEST_FIRST = sorted(map(ip_network, RANGES), key=lambda network: network.max_prefixlen - network.prefixlen)

_MAPPED = IPv6Network("::ffff:0:0/96")  #: RFC 4291, 2.5.5.2
_NAT64 = IPv6Network("64:ff9b::/96")  #: RFC 6052, 2.1
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  #: RFC 8215
_TEREDO = IPv6Network("2001::/32")  #: RFC 4380, 4
_6TO4 = IPv6Network("2002::/16")  #: RFC 3056, 2
_32_BITS = (1 << 32) - 1


def special(address: Address) -> Network | None:
    """The range of :data:`RANGES` that an address lies in, the smallest one; None: it is public.

    It is not asked what an IPv6 address may hold: see :func:`behind`.
    """
    return next((network for network in _SMALLEST_FIRST if address in network), None)


def behind(address: Address) -> tuple[Address, ...]:
    """Where packets to an address go in the end: there, or to the IPv4 addresses that an IPv6 one holds."""
    if isinstance(address, IPv4Address):
        return (address,)
    number = int(address)
    last = IPv4Address(number & _32_BITS)
    if address in _MAPPED or address in _NAT64:
        return (last,)
    if address in _LOCAL_NAT64:
        return (address, last)
    if address in _6TO4:
        return (IPv4Address(number >> 80 & _32_BITS),)
    if address in _TEREDO:  # by way of its server, to the client, whose address is written inverted
        return IPv4Address(number >> 64 & _32_BITS), IPv4Address(~number & _32_BITS)
    return (address,)
