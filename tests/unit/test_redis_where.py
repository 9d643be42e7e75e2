"""Redis URLs: where they lead, and that a wrong one is refused without its password."""

import asyncio

import pytest

from crawl_dedup import LedgerRefused
from crawl_dedup.redis_address import FixedAddress
from crawl_dedup.redis_sentinels import BehindSentinels
from crawl_dedup.redis_where import redis_servers, where

SECRET = "s3cret-word"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://redis1:7000/3", "redis1:7000"),
        ("rediss://redis1", "redis1:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_a_plain_url_leads_to_one_address(url, address):
    place = where(url, name="tests")
    assert isinstance(place, FixedAddress)
    assert place.address == address


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("redis://redis1:7000/3", [("redis1", 7000)]),
        ("rediss://redis1", [("redis1", 6379)]),
        ("redis://", [("localhost", 6379)]),
        ("redis://[::1]:7000/0", [("::1", 7000)]),
        ("unix:///run/redis.sock", []),
    ],
)
def test_a_plain_url_names_one_server_or_a_socket(url, servers):
    assert asyncio.run(redis_servers(url)) == servers


@pytest.mark.parametrize("scheme", ["redis+sentinel", "rediss+sentinel"])
def test_a_sentinel_url_names_sentinels_and_the_master(scheme):
    place = where(f"{scheme}://u:{SECRET}@s1,s2:26380,[::1]:26381/main/2?sentinel_password=x", name="tests")
    assert isinstance(place, BehindSentinels)
    assert place.address == "main (Sentinels s1:26379, s2:26380, ::1:26381)"


def test_the_password_is_for_redis_and_the_other_one_for_the_sentinels():
    place = where("redis+sentinel://user:p%40ss@s1/main/2?sentinel_username=su&sentinel_password=s%2Fp", name="tests")
    server, (sentinel,) = place.server.connection_kwargs, [one.options for one in place.sentinels]
    assert (server["username"], server["password"], server["db"]) == ("user", "p@ss", 2)
    assert (sentinel["username"], sentinel["password"], sentinel.get("db", 0)) == ("su", "s/p", 0)


def test_tls_and_its_options_hold_for_redis_and_sentinels():
    place = where("rediss+sentinel://s1/main?ssl_ca_certs=/ca.pem", name="tests")
    for options in (place.server.connection_kwargs, place.sentinels[0].options):
        assert options["ssl_ca_certs"] == "/ca.pem"
    assert "SSL" in place.server.connection_class.__name__


@pytest.mark.parametrize(
    "url",
    [
        f"redis+sentinel://:{SECRET}@s1:26379",
        f"redis+sentinel://:{SECRET}@/main",
        f"redis+sentinel://:{SECRET}@s1,,s2/main",
        f"redis+sentinel://:{SECRET}@s1:port/main",
        f"redis+sentinel://:{SECRET}@s1/main/first",
        f"sentinel://:{SECRET}@s1/main",
    ],
)
def test_what_cannot_be_read_is_refused_without_being_repeated(url):
    with pytest.raises(LedgerRefused, match="cannot be read") as caught:
        where(url, name="tests")
    assert "redis+sentinel://host:26379,host2:26379/master/0" in caught.value.remedy
    assert SECRET not in f"{caught.value} {caught.value.remedy}"
