"""A site that is a dictionary, over real sockets: path → HTML, or status, headers and body; all else is a 404."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


@contextmanager
def dictionary_site(pages):
    """``home``, ``asked`` (each path, in order), ``at`` (when), ``headers`` (of the last request for a path)."""
    asked, at, headers = [], [], {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            at.append(time.monotonic())
            headers[self.path] = dict(self.headers)
            page = pages.get(self.path, (404, {}, "not here"))
            status, fields, body = (200, {}, page) if isinstance(page, str) else page
            self.send_response(status)
            sent = body.encode()
            for name, value in {"Content-Type": "text/html", "Content-Length": str(len(sent)), **fields}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        home = f"http://127.0.0.1:{server.server_port}/"
        yield SimpleNamespace(home=home, port=server.server_port, asked=asked, at=at, headers=headers, pages=pages)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
