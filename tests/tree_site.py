"""A site of numbered pages in this process, each linking to some others, that counts what it is asked for."""

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

#: Far longer than it takes until they may be answered.
HELD_S = 60


@contextmanager
def tree_site(pages, links, *, together=False):
    """``home`` and ``asked``: page n links to pages n * links + 1 to (n + 1) * links; the home page is number 0.

    ``together``: none of the home page's children is answered until all of them are asked for, and none of theirs
    until ``go_on`` is set.
    """
    asked = Counter()
    children_of_home, go_on = threading.Barrier(links), threading.Event()

    class Tree(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked[self.path] += 1
            number = int(self.path[1:] or 0)
            if together and 1 <= number <= links:
                children_of_home.wait(HELD_S)
            elif together and number:
                go_on.wait(HELD_S)
            children = range(number * links + 1, min((number + 1) * links + 1, pages))
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
    try:
        yield SimpleNamespace(home=f"http://127.0.0.1:{server.server_port}/", asked=asked, go_on=go_on)
    finally:
        go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
