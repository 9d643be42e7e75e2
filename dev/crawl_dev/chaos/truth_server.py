"""The process that serves a planned site on every address of it, and writes down each request before it answers.

A line of ``requests.tsv``: monotonic time in seconds (one clock for all processes of a machine), the User-Agent, which
here is the consumer's name, the URL, and the status that it is answered with.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TextIO, cast

import uvloop

from crawl_dev.chaos.groups import group_of
from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.plan import LINKING, Kind, PagePlan, SitePlan

#: Niceness of the measuring instrument, where the system lets it go first: it is not to wait for what it measures.
_FIRST = -10
_STATUSES = {Kind.OK: 200, Kind.TEXT: 200, Kind.FLAKY: 200, Kind.REDIRECT: 301, Kind.LEAVE: 302,
             Kind.MISSING: 404, Kind.GONE: 410, Kind.DOWN: 503, Kind.DENIED: 200}  # fmt: skip
#: The statuses of redirects take turns by the page's number.
_REDIRECTS = (301, 302, 303, 307, 308)


class Answers:
    """What the site answers; the only thing it remembers is for whom flaky pages have failed already.

    Args:
        plan: the site.
    """

    def __init__(self, plan: SitePlan) -> None:
        self._plan = plan
        self._robots = plan.robots
        self._failed: set[tuple[str, int]] = set()

    def answer(self, path: str, *, host: str = "", group: str = "") -> tuple[int, bytes, bytes]:
        """Status, further header lines and body of a request.

        Args:
            path: what was asked for …
            host: … of whom, as in the request's header.
            group: of the consumer that asks; flaky pages fail once for each.
        """
        if (rules := self._robots.get(f"http://{host}{path}")) is not None:
            return 200, b"Content-Type: text/plain\r\n", rules.encode()
        _, _, number = path.rpartition("/p/")
        if not number.isdecimal() or int(number) >= len(self._plan.pages):
            return 404, b"", b""
        page = self._plan.pages[int(number)]
        if page.kind is Kind.FLAKY and (group, page.number) not in self._failed:
            self._failed.add((group, page.number))
            return 500, b"", b""
        if page.target is not None:
            location = self._plan.url(page.target).encode()
            return _REDIRECTS[page.number % len(_REDIRECTS)], b"Location: %s\r\n" % location, b""
        if page.kind is Kind.LEAVE:
            return _STATUSES[page.kind], b"Location: http://elsewhere.test/\r\n", b""
        field = b"Content-Type: text/%s\r\n" % (b"plain" if page.kind is Kind.TEXT else b"html")
        if page.kind is Kind.DOWN and self._plan.manners is not None:
            field += b"Retry-After: %d\r\n" % self._plan.manners.retry_after_s
        return _STATUSES[page.kind], field, body(self._plan, page)


def body(plan: SitePlan, page: PagePlan) -> bytes:
    """What a page consists of, when it is answered at last; nothing where it has neither links nor text."""
    if page.kind is Kind.TEXT:
        return plan.title(page.number).encode()
    return html(plan, page) if page.kind in LINKING else b""


def html(plan: SitePlan, page: PagePlan) -> bytes:
    """A page whose links to one URL are written in all the ways that mean the same."""
    hrefs = [_written(plan, page, to, place) for place, to in enumerate(page.links)]
    hrefs += [f"http://outside{n}.test/from/{page.number}" for n in range(page.outside)]
    hrefs += ["mailto:someone@h0.test"] if page.mailto else []
    anchors = "".join(f'<a href="{href}">a link</a>\n' for href in hrefs)
    return f"<!doctype html><title>{plan.title(page.number)}</title>\n{anchors}".encode()


def _written(plan: SitePlan, page: PagePlan, to: int, place: int) -> str:
    url = plan.url(to)
    if to % len(plan.hosts) == page.number % len(plan.hosts):
        return (f"{to}", f"/p/{to}", f"../p/./{to}#part", f"/p/{to}#top")[place % 4]
    return (url, f"{url}#part", url.replace("http://h", "HTTP://H"))[place % 3]


class _Visit(asyncio.Protocol):
    """One connection, requests one after the other."""

    def __init__(self, answers: Answers, pause_s: float, log: TextIO) -> None:
        self._answers, self._pause_s, self._log = answers, pause_s, log
        self._head = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if not self._head.endswith(b"\r\n\r\n"):
            return
        first, *lines = self._head.decode("latin-1").split("\r\n")
        self._head = b""
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        path = first.split()[1]
        group = group_of(fields["user-agent"])
        status, field, body = self._answers.answer(path, host=fields["host"], group=group)
        url = f"http://{fields['host']}{path}"
        self._log.write(f"{time.monotonic():.6f}\t{fields['user-agent']}\t{url}\t{status}\n")
        answer = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), field, body)
        if self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def _main(folder: Path) -> None:
    site = json.loads((folder / "site.json").read_text())
    manners = site["manners"] and Manners(**site["manners"])
    plan = SitePlan(site["seed"], site["pages"], hosts=site["hosts"], port=site["port"], manners=manners)
    answers = Answers(plan)
    with (folder / "requests.tsv").open("w", buffering=1) as log:
        with contextlib.suppress(PermissionError):
            os.nice(_FIRST)
        await asyncio.get_running_loop().create_server(
            lambda: _Visit(answers, site["pause_s"], log), site["addresses"], site["port"], backlog=512
        )
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="crawl_dev.chaos.truth_server", description=__doc__)
    parser.add_argument("folder", type=Path)
    uvloop.run(_main(parser.parse_args().folder))
