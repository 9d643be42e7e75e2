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


TLS = ("CRAWL_RABBITMQ_TLS", "CRAWL_RABBITMQ_CA_FILE", "CRAWL_RABBITMQ_CERT_FILE", "CRAWL_RABBITMQ_KEY_FILE")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("ca.pem", None, None)),
        ({"CRAWL_RABBITMQ_TLS": "1"}, ("ca.pem", None, None)),
        ({"CRAWL_RABBITMQ_TLS": "0"}, None),
        ({"CRAWL_RABBITMQ_TLS": "0", "CRAWL_RABBITMQ_CA_FILE": "b.pem"}, None),
        ({"CRAWL_RABBITMQ_CA_FILE": "b.pem"}, ("b.pem", None, None)),
        (
            {"CRAWL_RABBITMQ_CERT_FILE": "c.pem", "CRAWL_RABBITMQ_KEY_FILE": "c.key"},
            ("ca.pem", "c.pem", "c.key"),
        ),
    ],
)
def test_tls_is_the_files_unless_a_variable_says_otherwise(file, monkeypatch, variables, expected):
    for variable in TLS:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    tls = load(file).topology.connection.tls
    assert (tls and (tls.ca_file, tls.cert_file, tls.key_file)) == expected


def test_tls_that_the_file_does_not_mention_is_had_by_a_variable(file, monkeypatch):
    file.write_text(FILE.replace(", tls: {ca_file: ca.pem}", ""))
    assert load(file).topology.connection.tls is None
    monkeypatch.setenv("CRAWL_RABBITMQ_TLS", "1")
    assert load(file).topology.connection.endpoints()[0] == ("file", 1)
    assert load(file).topology.connection.tls.ca_file is None


def test_a_key_file_without_its_certificate_is_an_error_of_a_variable(file, monkeypatch):
    monkeypatch.setenv("CRAWL_RABBITMQ_KEY_FILE", "c.key")
    with pytest.raises(TopologyInvalid, match="CRAWL_RABBITMQ_KEY_FILE: key_file needs cert_file"):
        load(file)


def test_message_keys_come_from_the_environment_in_their_order(file, monkeypatch):
    new, old = "n" * 32, "o" * 32
    monkeypatch.setenv("CRAWL_MESSAGE_KEY", f"{new}, {old},")
    loaded = load(file)
    assert [key.get_secret_value() for key in loaded.topology.connection.message_keys] == [new, old]
    assert {new, old} <= set(loaded.confidential())
    assert new not in repr(loaded)


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("redis://:s%3Acret@h/0", "s:cret"),
        ("redis://user:a@b@h/0", "a@b"),
        ("redis+sentinel://u:one-word@a:1,b:2/m/0?sentinel_password=another", "another"),
    ],
)
def test_passwords_in_the_redis_url_are_kept_to_oneself(file, monkeypatch, url, password):
    monkeypatch.setenv("CRAWL_REDIS_URL", url)
    assert password in set(load(file).confidential())
