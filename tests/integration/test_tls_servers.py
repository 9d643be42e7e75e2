"""RabbitMQ and Redis behind TLS that ask for a client's certificate: who has one is served, who has none is not."""

import json

import pytest

from certificates import certificate_files
from crawl_dev import PrivateServers, free_ports
from e2e_kit import Commands

TOPOLOGY = """\
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}
crawls: {docs: {exchange: crawl.docs, key: page}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    folder.chmod(0o755)
    return certificate_files(folder)


@pytest.fixture(scope="module")
def servers(files):
    """One of each; RabbitMQ listens with TLS on ``amqps``, Redis on ``rediss``."""
    amqps, rediss = free_ports(2)
    rabbit = {
        "listeners.ssl.1": f"127.0.0.1:{amqps}",
        "ssl_options.cacertfile": files.authority,
        "ssl_options.certfile": files.server,
        "ssl_options.keyfile": files.server_key,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
    }
    redis = {
        "tls-port": str(rediss),
        "tls-ca-cert-file": files.authority,
        "tls-cert-file": files.server,
        "tls-key-file": files.server_key,
        "tls-auth-clients": "yes",
    }
    with PrivateServers(rabbit_settings=rabbit, redis_settings=redis) as servers:
        servers.amqps, servers.rediss = amqps, rediss
        yield servers


@pytest.fixture
def commands(servers, tmp_path):
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    environment = servers.environment() | {"CRAWL_RABBITMQ_NODES": f"127.0.0.1:{servers.amqps}"}
    return Commands(environment, tmp_path)


def redis_url(servers, files, **options):
    query = "&".join(f"{name}={value}" for name, value in ({"ssl_ca_certs": files.authority} | options).items())
    return f"rediss://127.0.0.1:{servers.rediss}/0?{query}"


def test_with_a_certificate_in_the_environment_both_are_used(commands, servers, files):
    commands.environment |= {
        "CRAWL_RABBITMQ_CA_FILE": files.authority,
        "CRAWL_RABBITMQ_CERT_FILE": files.client,
        "CRAWL_RABBITMQ_KEY_FILE": files.client_key,
        "CRAWL_REDIS_URL": redis_url(servers, files, ssl_certfile=files.client, ssl_keyfile=files.client_key),
    }
    commands.run("crawl-topology", "apply")
    commands.run("crawl-seed", "https://example.org/")
    assert commands.status()["admitted"] == 1


def test_the_file_says_the_same(commands, servers, files):
    tls = {"ca_file": files.authority, "cert_file": files.client, "key_file": files.client_key}
    url = redis_url(servers, files, ssl_certfile=files.client, ssl_keyfile=files.client_key)
    del commands.environment["CRAWL_REDIS_URL"]
    (commands.folder / "exchanges.yaml").write_text(
        f"connection: {json.dumps({'tls': tls})}\nredis: {json.dumps({'url': url})}\n{TOPOLOGY}"
    )
    commands.run("crawl-topology", "plan")
    commands.run("crawl-status")


def test_without_a_certificate_neither_serves_us(commands, servers, files):
    commands.environment |= {"CRAWL_RABBITMQ_CA_FILE": files.authority, "CRAWL_REDIS_URL": redis_url(servers, files)}
    said = commands.run("crawl-topology", "plan", code=4)
    assert "no RabbitMQ node answers" in said
    said = commands.run("crawl-status", code=6)
    assert f"127.0.0.1:{servers.rediss} is unavailable" in said


@pytest.mark.parametrize("authority", ["system", "client"])
def test_a_server_that_nobody_vouches_for_is_not_spoken_to(commands, servers, files, authority):
    trusted = {} if authority == "system" else {"CRAWL_RABBITMQ_CA_FILE": files.client}
    commands.environment |= trusted | {"CRAWL_RABBITMQ_TLS": "1"}
    assert "CERTIFICATE_VERIFY_FAILED" in commands.run("crawl-topology", "plan", code=4)
    url = f"rediss://127.0.0.1:{servers.rediss}/0" + (f"?ssl_ca_certs={files.client}" if trusted else "")
    assert "CERTIFICATE_VERIFY_FAILED" in commands.run("crawl-status", code=6, CRAWL_REDIS_URL=url)
