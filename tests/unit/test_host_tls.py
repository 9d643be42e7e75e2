"""Hosts that need not prove who they are: which requests that means, and that it is told."""

import logging

import pytest

from crawl_consumer.host_tls import HostTls, host_tls
from crawl_producer.topology_hosts import HostSpec

UNVERIFIED, VERIFIED = HostSpec(tls="unverified"), HostSpec()


@pytest.mark.parametrize(
    ("hosts", "origin", "unverified"),
    [
        ({"old.example": UNVERIFIED}, ("https", "old.example", 443), True),
        ({"old.example": UNVERIFIED}, ("http", "old.example", 80), False),
        ({"old.example": UNVERIFIED}, ("https", "old.example", 8443), False),
        ({"old.example": UNVERIFIED}, ("https", "new.example", 443), False),
        ({"https://old.example:8443": UNVERIFIED}, ("https", "old.example", 8443), True),
        ({"*.old.example": UNVERIFIED}, ("https", "a.old.example", 443), True),
        ({"*.old.example": UNVERIFIED}, ("https", "old.example", 443), False),
        ({"a.old.example": VERIFIED, "*.old.example": UNVERIFIED}, ("https", "a.old.example", 443), False),
        ({"https://[::1]": UNVERIFIED}, ("https", "::1", 443), True),
    ],
)
def test_the_first_pattern_that_matches_says_whether_a_host_is_verified(hosts, origin, unverified):
    assert HostTls(hosts).is_unverified(*origin) is unverified


def test_hosts_that_are_not_verified_are_told_by_name(caplog):
    with caplog.at_level(logging.WARNING):
        assert host_tls("docs", {"a.example": VERIFIED}) is None
        assert host_tls("docs", {}) is None
    assert caplog.messages == []
    assert host_tls("docs", {"a.example": VERIFIED, "b.example": UNVERIFIED}) is not None
    (line,) = caplog.messages
    assert "crawl docs: certificates of ['b.example'] are not verified" in line
