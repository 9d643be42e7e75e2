"""A bounded frontier: a queue far smaller than the crawl is back-pressure, not loss, and the crawl ends."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from e2e_kit import Commands

PAGES = 1500
LINKS = 10
TOPOLOGY = """
exchanges: {crawl.docs: {type: direct}}
queues: {docs.pages: {crawl: docs, max_length: 50, bindings: [{exchange: crawl.docs, key: page}]}}
crawls: {docs: {exchange: crawl.docs, key: page, robots: {obey: false}}}
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def tree():
    """A site of PAGES pages, each linking to LINKS others; counts what it is asked for."""
    asked = Counter()

    class Tree(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked[self.path] += 1
            number = int(self.path[1:] or 0)
            children = range(number * LINKS + 1, min((number + 1) * LINKS + 1, PAGES))
            body = "".join(f'<a href="/{child}">x</a>' for child in children).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tree)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_queue_far_smaller_than_the_crawl_slows_it_down_and_loses_nothing(tree, environment, tmp_path):
    home, asked = tree
    commands = Commands(environment, tmp_path)
    (tmp_path / "exchanges.yaml").write_text(TOPOLOGY)
    try:
        commands.run("crawl-topology", "apply")
        commands.run("crawl-seed", home)
        consumers = [commands.consumer("--quiet") for _ in range(2)]
        assert [consumer.wait(150) for consumer in consumers] == [0, 0]
        books = commands.status()
    finally:
        print(commands.stop())
    assert len(asked) == PAGES
    assert set(asked.values()) == {1}
    assert (books["state"], books["outcomes"]) == ("complete", {"ok": PAGES})
