"""Header fields for some hosts: which requests get them, and what may stand in exchanges.yaml."""

import json

import pytest
from pydantic import SecretStr

from crawl_consumer.host_headers import HostHeaders
from crawl_producer.errors import TopologyInvalid
from crawl_producer.settings import load
from crawl_producer.topology_file import parse_topology
from crawl_producer.topology_hosts import HostPattern

AUTH = {"basic_auth": {"username": "me", "password_env": "WIKI"}}


def topology(hosts):
    return parse_topology(
        "exchanges: {x: {type: fanout}}\nqueues: {q: {crawl: c, bindings: [{exchange: x}]}}\n"
        f"crawls: {{c: {{exchange: x, hosts: {json.dumps(hosts)}}}}}\n",
        "exchanges.yaml",
    )


def fields(hosts, origin, **secrets):
    made = HostHeaders(topology(hosts).crawls["c"].hosts, {name: SecretStr(value) for name, value in secrets.items()})
    return dict(made.of(*origin))


@pytest.mark.parametrize(
    ("pattern", "origin", "matches"),
    [
        ("example.org", ("https", "example.org", 443), True),
        ("example.org", ("http", "example.org", 80), True),
        ("example.org", ("https", "example.org", 8443), False),
        ("example.org", ("http", "example.org", 443), False),
        ("example.org", ("https", "www.example.org", 443), False),
        ("example.org", ("https", "badexample.org", 443), False),
        ("example.org:8443", ("https", "example.org", 8443), True),
        ("https://example.org", ("https", "example.org", 443), True),
        ("https://example.org", ("http", "example.org", 80), False),
        ("http://example.org:8080", ("http", "example.org", 8080), True),
        ("*.example.org", ("https", "a.b.example.org", 443), True),
        ("*.example.org", ("https", "example.org", 443), False),
        ("*.example.org", ("https", "badexample.org", 443), False),
        ("*", ("http", "anything.example", 80), True),
        ("[::1]", ("http", "::1", 80), True),
        ("127.0.0.1:8000", ("http", "127.0.0.1", 8000), True),
    ],
)
def test_a_pattern_means_these_requests(pattern, origin, matches):
    assert HostPattern.of(pattern).matches(*origin) is matches


@pytest.mark.parametrize(
    "pattern", ["", "Example.org", "example.org/x", "a*.org", "ftp://example.org", "me:x@example.org", "*.*", "ä.org"]
)
def test_what_is_no_host_is_refused(pattern):
    with pytest.raises(ValueError, match="no host"):
        HostPattern.of(pattern)


def test_the_first_pattern_that_matches_counts():
    hosts = {"a.example.org": {"headers": {"X": "1"}}, "*.example.org": {"headers": {"X": "2", "Y": "3"}}}
    assert fields(hosts, ("https", "a.example.org", 443)) == {"X": "1"}
    assert fields(hosts, ("https", "b.example.org", 443)) == {"X": "2", "Y": "3"}
    assert fields(hosts, ("https", "example.org", 443)) == {}


def test_passwords_and_tokens_come_from_the_environment():
    hosts = {"https://wiki.example": AUTH, "https://api.example": {"headers_env": {"X-Api-Key": "KEY"}}}
    assert fields(hosts, ("https", "wiki.example", 443), WIKI="pässword", KEY="k") == {
        "Authorization": "Basic bWU6cMOkc3N3b3Jk"
    }
    assert fields(hosts, ("https", "api.example", 443), WIKI="p", KEY="k") == {"X-Api-Key": "k"}
    assert fields(hosts, ("http", "wiki.example", 80), WIKI="p", KEY="k") == {}


def test_a_variable_that_is_not_set_or_cannot_be_sent_is_named_without_its_value():
    hosts = {"https://api.example": {"headers_env": {"X-Api-Key": "KEY"}}}
    with pytest.raises(TopologyInvalid, match="KEY: not set"):
        fields(hosts, ("https", "api.example", 443))
    with pytest.raises(TopologyInvalid, match="KEY: no value") as caught:
        fields(hosts, ("https", "api.example", 443), KEY="sec\nret")
    assert "sec" not in str(caught.value) + caught.value.remedy


@pytest.mark.parametrize(
    ("hosts", "says"),
    [
        ({"example.org": AUTH}, "one scheme"),
        ({"*": {"headers_env": {"X": "KEY"}}}, "one scheme"),
        ({"https://*": {"headers_env": {"X": "KEY"}}}, "one scheme"),
        ({"https://a.example": {"headers": {"Authorization": "Bearer x"}}}, "headers_env"),
        ({"https://a.example": {"headers": {"cookie": "a=b"}}}, "headers_env"),
        ({"https://a.example": {**AUTH, "headers_env": {"authorization": "KEY"}}}, "given twice"),
        ({"https://a.example": {"headers": {"X": "1", "x": "2"}}}, "given twice"),
        ({"a.example": {"headers": {"User-Agent": "me"}}}, "user_agent"),
        ({"a.example": {"headers": {"Host": "b"}}}, "connection depends"),
        ({"a.example": {"headers": {"Accept-Encoding": "x"}}}, "connection depends"),
        ({"a.example": {"headers": {"X Y": "1"}}}, "no name"),
        ({"a.example": {"headers": {"X": "1\r\nY: 2"}}}, "no value"),
        ({"a.example": {"headers": {"X": ""}}}, "no value"),
        ({"https://a.example": {"basic_auth": {"username": "a:b", "password_env": "X"}}}, "no colon"),
        ({"https://a.example": {"basic_auth": {"username": "a", "password": "X"}}}, "password_env"),
        ({"a.example": {"header": {}}}, "did you mean 'headers'"),
        ({"A.example": {}}, "no host"),
        ({"*": {"tls": "unverified"}}, "tls is for https and for hosts that are named"),
        ({"https://*:8443": {"tls": "unverified"}}, "tls is for https and for hosts that are named"),
        ({"http://a.example": {"tls": "unverified"}}, "tls is for https"),
        ({"a.example": {"tls": "off"}}, "'verified' or 'unverified'"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_what_would_be_right(hosts, says):
    with pytest.raises(TopologyInvalid) as caught:
        topology(hosts)
    assert says in str(caught.value)
    assert "crawls.c.hosts" in str(caught.value)


def test_secrets_are_read_at_the_edge_and_do_not_show(tmp_path, monkeypatch):
    monkeypatch.setenv("WIKI", "hunter2")
    monkeypatch.delenv("KEY", raising=False)
    file = tmp_path / "exchanges.yaml"
    file.write_text(
        "exchanges: {x: {type: fanout}}\nqueues: {q: {crawl: c, bindings: [{exchange: x}]}}\n"
        "crawls: {c: {exchange: x, hosts: {'https://wiki.example':"
        " {basic_auth: {username: me, password_env: WIKI}, headers_env: {X: KEY}}}}}\n"
    )
    loaded = load(file)
    assert {name: value.get_secret_value() for name, value in loaded.secrets.items()} == {"WIKI": "hunter2"}
    assert "hunter2" not in repr(loaded)
