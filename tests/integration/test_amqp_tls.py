"""TLS to RabbitMQ: a certificate that is trusted connects, one that is not does not."""

import asyncio
import ssl

import pytest
import uvloop

from crawl_dev.tcp_proxy import TcpProxy
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import BrokerUnreachable, TopologyInvalid
from crawl_producer.topology import Connection, Tls

#: A key and a certificate for 127.0.0.1 that sign themselves and open nothing anywhere (openssl req -x509).
KEY = """
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDD/9dXfgl19p+z/dfZ0kv702sg7ltaL7ItYe+5/dHdqhRANCAAToM6EfZ/hDGBiU
KwRmZw7VePMEwj4qDMJfpS9f51CZ24hnpan2U3Aab+ze1ugYEvgwXtUcjxUmlMMKexcZihZP
"""
CERTIFICATE = """
MIIBkjCCATigAwIBAgIUXD2IELImOHiQ1PqcXxXDUDP/4egwCgYIKoZIzj0EAwIwFTETMBEGA1UEAwwKY3Jhd2wtdGVzdDAgFw0yNjExMjAyMzIy
NTNaGA8yMTI2MTAyNzIzMjI1M1owFTETMBEGA1UEAwwKY3Jhd2wtdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOgzoR9n+EMYGJQrBGZn
DtV48wTCPioMwl+lL1/nUJnbiGelqfZTcBpv7N7W6BgS+DBe1RyPFSaUwwp7FxmKFk+jZDBiMB0GA1UdDgQWBBSX8lrVVb2SF1nCpPa2x8ZkT2ss
FjAfBgNVHSMEGDAWgBSX8lrVVb2SF1nCpPa2x8ZkT2ssFjAPBgNVHRMBAf8EBTADAQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSAAw
RQIgNJ6raV8IGSpVlRRAJnKrs2q0GAqFbQpnzCdL7/7xcywCIQDYCAFrWT/CbZVzHmAGKWbVPdEBVISXxrSxGA3dTt8Ung==
"""


@pytest.fixture
def certificate(tmp_path):
    """The paths of the certificate and its key."""
    paths = []
    for name, kind, text in (("cert.pem", "CERTIFICATE", CERTIFICATE), ("key.pem", "PRIVATE KEY", KEY)):
        path = tmp_path / name
        path.write_text(f"-----BEGIN {kind}-----{text}-----END {kind}-----\n")
        paths.append(str(path))
    return paths


def proxy(rabbit, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return TcpProxy(rabbit.nodes[0].port, tls=context)


def settings(port, vhost, **tls):
    return Connection(
        nodes=(f"127.0.0.1:{port}",), vhost=vhost, tls=Tls(**tls), opening_s=0.5, retry_first_s=0.1, heartbeat_s=5
    )


def run(work):
    async def limited():
        async with asyncio.timeout(30):
            await work

    uvloop.run(limited())


def test_a_trusted_certificate_carries_messages_both_ways(rabbit, fresh_vhost, certificate):
    async def work():
        async with proxy(rabbit, certificate) as front:
            connection = settings(front.port, fresh_vhost, ca_file=certificate[0])
            async with open_admin(connection) as admin:
                await admin.declare(Exchange("x", "direct"))
                await admin.declare(Queue("q", {"x-queue-type": "quorum"}))
                await admin.bind(Binding("x", "q", "k"))
            inbox = asyncio.Queue()
            async with AmqpBroker(connection, name="test") as broker:
                await broker.consume("q", prefetch=100, deliver=inbox.put_nowait)
                batch = [Outgoing("x", "k", b"b" * 4_000, str(n)) for n in range(1_000)]
                assert await broker.publish_all(batch) == [None] * 1_000
                for _ in range(1_000):
                    assert (await inbox.get()).ack()

    run(work())


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(rabbit, fresh_vhost, certificate):
    async def work():
        async with proxy(rabbit, certificate) as front:
            with pytest.raises(BrokerUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                async with AmqpBroker(settings(front.port, fresh_vhost), name="test"):
                    pytest.fail("trusted a stranger")

    run(work())


def test_a_plain_broker_where_tls_is_expected_is_named_so(rabbit, fresh_vhost, certificate):
    async def work():
        connection = settings(rabbit.nodes[0].port, fresh_vhost, ca_file=certificate[0])
        with pytest.raises(BrokerUnreachable, match="TLS: "):
            async with AmqpBroker(connection, name="test"):
                pytest.fail("spoke TLS to a plain port")

    run(work())


def test_a_tls_broker_where_plain_is_expected_is_named_so(rabbit, fresh_vhost, certificate):
    async def work():
        async with proxy(rabbit, certificate) as front:
            plain = settings(front.port, fresh_vhost).model_copy(update={"tls": None})
            with pytest.raises(BrokerUnreachable, match="expects TLS"):
                async with AmqpBroker(plain, name="test"):
                    pytest.fail("spoke plainly to a TLS port")

    run(work())


def test_a_missing_certificate_file_is_an_error_of_the_file(tmp_path):
    async def work():
        missing = str(tmp_path / "none.pem")
        for open_client in (open_admin, lambda c: AmqpBroker(c, name="test")):
            with pytest.raises(TopologyInvalid, match=r"connection\.tls") as caught:
                async with open_client(settings(1, "/", ca_file=missing)):
                    pytest.fail("connected")
            assert "ca_file" in caught.value.remedy

    run(work())
