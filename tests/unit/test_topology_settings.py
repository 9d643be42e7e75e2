"""Flags come before the environment, which comes before the file."""

import pytest

from crawl_producer.errors import TopologyInvalid
from crawl_producer.settings import Overrides, load
from crawl_producer.topology import PolitenessSpec

FILE = """\
connection:
  {nodes: [file:1, "[::1]:2"], vhost: from-file, username: u, password: p, tls: {ca_file: ca.pem}, heartbeat_s: 7}
redis: {url: "redis://file:6379/1"}
exchanges: {x: {type: fanout}}
queues: {q: {crawl: c, bindings: [{exchange: x}]}}
crawls: {c: {exchange: x}}
"""

VARIABLES = {
    "CRAWL_RABBITMQ_NODES": "one:1, two ,[::1]:3,",
    "CRAWL_RABBITMQ_VHOST": "from-environment",
    "CRAWL_RABBITMQ_USERNAME": "me",
    "CRAWL_RABBITMQ_PASSWORD": "hunter2",
    "CRAWL_RABBITMQ_MANAGEMENT": "http://rabbit:15672/",
    "CRAWL_REDIS_URL": "rediss://:hunter2@redis/3",
    "CRAWL_DELAY_S": "0",
    "CRAWL_ALLOW_NETWORKS": "127.0.0.0/8, ::1",
}


@pytest.fixture
def file(tmp_path, monkeypatch):
    for variable in (*VARIABLES, "CRAWL_TOPOLOGY"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "exchanges.yaml"
    path.write_text(FILE)
    return path


def test_without_variables_the_file_says_everything(file):
    loaded = load(file)
    connection = loaded.topology.connection
    assert connection.endpoints() == (("file", 1), ("::1", 2))
    assert (connection.vhost, connection.heartbeat_s, connection.management) == ("from-file", 7, None)
    assert (loaded.path, loaded.chosen_by) == (file, "--topology")


def test_variables_override_addresses_and_credentials_and_leave_the_rest(file, monkeypatch):
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("CRAWL_TOPOLOGY", str(file))
    loaded = load()
    connection = loaded.topology.connection
    assert loaded.chosen_by == "CRAWL_TOPOLOGY"
    # TLS is the file's, and so is the port of a node that names none.
    assert connection.endpoints() == (("one", 1), ("two", 5671), ("::1", 3))
    assert (connection.vhost, connection.username) == ("from-environment", "me")
    assert connection.password.get_secret_value() == "hunter2"
    assert connection.management == "http://rabbit:15672"
    assert (connection.heartbeat_s, connection.tls.ca_file) == (7, "ca.pem")
    assert loaded.topology.redis.url.get_secret_value() == "rediss://:hunter2@redis/3"
    assert loaded.topology.crawls["c"].politeness == PolitenessSpec(delay_s=0)
    assert list(map(str, loaded.topology.crawls["c"].allow_networks)) == ["127.0.0.0/8", "::1/128"]


def test_an_empty_variable_counts_as_unset(file, monkeypatch):
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")
    assert load(file) == load(file, Overrides(_env_prefix="NOTHING_"))


def test_the_option_comes_before_the_variable(file, monkeypatch):
    monkeypatch.setenv("CRAWL_TOPOLOGY", "/nowhere.yaml")
    assert load(file).path == file


def test_secrets_do_not_show_in_a_representation(file, monkeypatch):
    for variable, value in VARIABLES.items():
        monkeypatch.setenv(variable, value)
    assert "hunter2" not in repr(load(file)) + repr(Overrides())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRAWL_RABBITMQ_NODES", "amqp://me:hunter2@host"),
        ("CRAWL_RABBITMQ_NODES", "host:99999"),
        ("CRAWL_RABBITMQ_NODES", ","),
        ("CRAWL_RABBITMQ_VHOST", "v" * 256),
        ("CRAWL_RABBITMQ_MANAGEMENT", "http://me:hunter2@host"),
        ("CRAWL_REDIS_URL", "hunter2@host"),
        ("CRAWL_DELAY_S", "-1"),
        ("CRAWL_ALLOW_NETWORKS", "127.0.0.0/8,hunter2"),
    ],
)
def test_a_wrong_variable_is_named_without_its_value(file, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(TopologyInvalid) as caught:
        load(file)
    assert str(caught.value).startswith(f"{variable}: ")
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value) + caught.value.remedy
    assert caught.value.__cause__ is None
