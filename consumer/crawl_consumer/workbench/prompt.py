"""A page in Python's hands: a prompt, IPython's where it is installed, or one expression for scripts."""

import asyncio
import code
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from crawl_consumer.page import Page
from crawl_consumer.workbench.looking import Looker, looker, page_of, url_of
from crawl_consumer.workbench.rules import Rules

_BANNER = """\
page        {page}
fetch(url)  another page, as politely: page = fetch(page.links()[0])
"""


class Hand:
    """Fetches pages for a prompt, one by one; open it with :func:`hand`.

    Args:
        looking: looks at URLs by a crawl's rules.
        runner: runs it, and nothing between two calls.
        crawl: whose pages they count as.
    """

    def __init__(self, looking: Looker, runner: asyncio.Runner, crawl: str) -> None:
        self._looking = looking
        self._runner = runner
        self._crawl = crawl

    def fetch(self, url: str) -> Page:
        """The page at ``url``, or at the end of its redirects, whatever its status.

        Raises:
            NoPage: robots.txt forbids it, or there is no answer.
            ValueError: it is no URL.
        """
        looks = self._runner.run(self._looking.look(url_of(url)))
        page, _ = page_of(looks, self._crawl)
        return page


@contextmanager
def hand(rules: Rules, *, cache: Path | None = None) -> Iterator[Hand]:
    """A hand that keeps its connections, and the crawl's delay, from one call to the next."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        looking = runner.run(stack.enter_async_context(looker(rules, cache=cache)))
        try:
            yield Hand(looking, runner, rules.crawl)
        finally:
            runner.run(stack.aclose())


def names(page: Page, having: Hand) -> dict[str, Any]:
    """What there is at the prompt."""
    return {"page": page, "fetch": having.fetch}


def evaluated(expression: str, having: dict[str, Any]) -> str | None:
    """The value of ``expression`` as text, a list one entry a line; None for None."""
    value = eval(expression, having)  # noqa: S307 - their own expression, in their own shell
    if value is None:
        return None
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def interact(having: dict[str, Any]) -> None:
    """Let somebody type until they have enough."""
    banner = _BANNER.format(page=having["page"])
    try:
        from IPython import start_ipython  # noqa: PLC0415 - where it is installed
    except ImportError:
        code.interact(banner, local=having, exitmsg="")
    else:
        print(banner)  # noqa: T201 - IPython's own banner cannot hold it
        start_ipython(argv=["--no-banner"], user_ns=having)
