"""A generated site, many times side by side, that knows what a faultless crawl would fetch and remembers what was."""

import random
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Ordinary pages; page 0 is the home page.
PAGES = 12
#: How often a URL is tried before it becomes a dead letter.
ATTEMPTS = 2
#: What always fails, what fails at first, what leads elsewhere and what is not there.
BROKEN, FLAKY, MOVED, MISSING, NEW = "broken", "flaky", "moved", "missing", "new"
#: Fetches of each URL of a copy in a crawl without faults.
PLAN = {**{str(n): 1 for n in range(PAGES)}, BROKEN: ATTEMPTS, FLAKY: 2, MOVED: 1, MISSING: 1, NEW: 1}
#: URLs that give a record.
RECORDED = PLAN.keys() - {BROKEN, MOVED, MISSING}
#: Every outcome of such a crawl.
OUTCOMES = {"ok": len(RECORDED), "redirect": 1, "http_404": 1, "failed_http_500": 1}


def _links(seed):
    """Who links to whom: a tree that reaches all, and links across it. The home page has the strange ones too."""
    chance = random.Random(seed)
    links = {n: {chance.randrange(PAGES) for _ in range(3)} for n in range(PAGES)}
    for n in range(1, PAGES):
        links[chance.randrange(min(n, 4))].add(n)
    strange = [BROKEN, FLAKY, MOVED, MISSING, "https://elsewhere.example/"]
    return {str(n): [*(strange if n == 0 else ()), *map(str, sorted(to))] for n, to in links.items()}


class WalkedSite:
    """``fetched[copy]`` counts what was fetched of that copy, by the last part of the path."""

    def __init__(self, port):
        self.port = port
        self.fetched = {}
        self._links = _links("crash points")

    def home(self, copy):
        """The home page of a copy."""
        self.fetched[copy] = Counter()
        return f"http://127.0.0.1:{self.port}/{copy}/0"

    def answer(self, path):
        """Status, headers and body."""
        if path == "/robots.txt":
            return 404, {}, b""
        _, copy, page = path.split("/")
        self.fetched[copy][page] += 1
        if page == BROKEN or (page == FLAKY and self.fetched[copy][page] == 1):
            return 500, {}, b"not now"
        if page == MOVED:
            return 301, {"Location": NEW}, b""
        if page == MISSING:
            return 404, {}, b"no"
        hrefs = self._links.get(page, ["1"])
        return 200, {}, "".join([f"<title>{page}</title>", *(f'<a href="{href}">x</a>' for href in hrefs)]).encode()


@contextmanager
def walked_site():
    """A site on a free port, served by threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, headers, body = site.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = WalkedSite(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
