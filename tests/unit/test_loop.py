"""What has a thread pays for each chunk of memory, so connecting to an address makes none."""

import subprocess
import sys

#: Connects to a listening socket, by the address or by the name that it is told, and prints its threads.
CONNECTED = """
import asyncio, os, socket, sys
from crawl_producer.loop import new_loop

async def main(host):
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setblocking(False)
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
