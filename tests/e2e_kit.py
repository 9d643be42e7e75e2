"""What end-to-end tests share: the commands as processes, and a walk of the site that owes nothing to the crawler."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from crawl_dev.site import OWN_SITE

BIN = Path(sys.executable).parent
#: Above any step on two busy cores; reached only when something hangs.
PATIENCE_S = 90.0


def wait_until(true: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Look until something outside this process is so."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"waited {patience_s:.0f} s for {what}"
        time.sleep(0.02)


class Commands:
    """The crawl-* commands, led to some servers, with files in one folder; their web is ours and needs no delay."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = {**os.environ, **OWN_SITE, **environment}
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def run(self, *command: str, code: int = 0, stdin: str | None = None, **environment: str) -> str:
        """Run a command to its end; the exit code must be ``code``. Returns stdout, or stderr for a failure."""
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            env=self.environment | environment, cwd=self.folder, input=stdin,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr if code else done.stdout

    def shell(self, line: str, **environment: str) -> str:
        """What a line of shell prints, with our commands in the PATH."""
        path = f"{BIN}{os.pathsep}{self.environment['PATH']}"
        done = subprocess.run(
            line, shell=True, env=self.environment | {"PATH": path} | environment, cwd=self.folder,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the background; :meth:`stop` ends it whatever the test does."""
        log = (self.folder / f"{command[0]}-{len(self.running)}.log").open("w")
        with log:
            process = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                env=self.environment | environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, text=True,
            )  # fmt: skip
        self.running.append(process)
        return process

    def consumer(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start a consumer of the docs crawl that ends when it is complete and writes to ``out/``."""
        return self.start(
            "crawl-consumer", "--queue", "docs.*", "--until-done", "--output", "out/", *options, **environment
        )

    def status(self, crawl: str = "docs") -> dict[str, Any]:
        """The first group of ``crawl-status CRAWL --json``."""
        return json.loads(self.run("crawl-status", crawl, "--json"))[0]

    def records(self) -> list[dict[str, Any]]:
        """Every line of every file in ``out/``."""
        files = (self.folder / "out").glob("*.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def stop(self) -> str:
        """Kill what still runs; returns all logs."""
        for process in self.running:
            process.kill()
            process.wait()
        return "\n".join(f"== {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("crawl-*.log")))


class _Hrefs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag in {"a", "area"} and href is not None:
            self.hrefs.append(href)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def reference_walk(start: str) -> dict[str, int]:
    """Every URL on the start's host that links and redirects lead to, with its status; standard library only."""
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    opener.addheaders = [("User-Agent", "reference")]
    found: dict[str, int] = {}
    waiting = [start]
    while waiting:
        url = waiting.pop()
        if url in found:
            continue
        try:
            with opener.open(url, timeout=10) as page:
                found[url] = page.status
                html = page.headers.get_content_type() == "text/html"
                hrefs = _hrefs(page.read()) if html else []
        except urllib.error.HTTPError as error:
            found[url] = error.code
            hrefs = [error.headers["Location"]] if error.headers["Location"] else []
        waiting += _same_host(start, url, hrefs)
    return found


def _hrefs(body: bytes) -> list[str]:
    parser = _Hrefs()
    parser.feed(body.decode("utf-8", "replace"))
    return parser.hrefs


def _same_host(start: str, base: str, hrefs: Iterable[str]) -> list[str]:
    absolute = (urldefrag(urljoin(base, href.strip()))[0] for href in hrefs)
    return [url for url in absolute if url.startswith("http") and urlsplit(url).hostname == urlsplit(start).hostname]
