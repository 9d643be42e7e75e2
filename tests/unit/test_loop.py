"""What has a thread pays for each chunk of memory, so connecting to an address makes none."""

import asyncio
import socket
import subprocess
import sys

import pytest

from crawl_producer.loop import is_address, new_loop

#: Connects to a listening socket, by the address or by the name that it is told, and prints its threads.
CONNECTED = """
import asyncio, contextlib, os, socket, sys
from crawl_producer.loop import new_loop

async def main(host):
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setblocking(False)
        with contextlib.suppress(socket.gaierror):  # even "localhost" is known to no resolver somewhere
            await asyncio.get_running_loop().sock_connect(client, (host, listening.getsockname()[1]))
            client.getpeername()

with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main(sys.argv[1]))
    print(len(os.listdir("/proc/self/task")))
"""


def threads_after_connecting_to(host: str) -> int:
    command = [sys.executable, "-c", CONNECTED, host]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_connecting_to_an_address_makes_no_thread():
    assert threads_after_connecting_to("127.0.0.1") == 1


def test_a_name_is_looked_up_in_threads_because_that_may_take_long():
    assert threads_after_connecting_to("localhost") > 1


@pytest.mark.parametrize(
    ("host", "known"),
    [("127.0.0.1", True), ("::1", True), ("fe80::1%eth0", False), ("localhost", False), ("", False), (b"::1", False)],
)
def test_an_address_is_known_unless_its_zone_has_to_be_looked_up(host, known):
    assert is_address(host) == known


@pytest.mark.parametrize(
    "asked", [{"proto": socket.IPPROTO_UDP}, {"type": socket.SOCK_DGRAM}, {"flags": socket.AI_PASSIVE}]
)
def test_whoever_asks_for_more_than_an_address_is_answered_as_ever(asked):
    async def found(loop):
        return set(await loop.getaddrinfo("127.0.0.1", 53, **asked))

    answers = []
    for factory in (None, new_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            answers.append(runner.run(found(runner.get_loop())))
    assert answers[0] == answers[1]
