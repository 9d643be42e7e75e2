"""A spider's hooks: which of them it has, and how they are called."""

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from crawl_consumer.spiders import blame

if TYPE_CHECKING:
    from crawl_consumer.spiders.base import Spider

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """A URL that could not be had, or whose page could not be parsed.

    Attributes:
        url: canonical.
        reason: why, in one line: ``timeout: …``, ``http_503``, ``spider raised: …``.
        status: the HTTP status, if there was an answer.
        attempts: fetches so far, this one included.
        to: the spider's method that its link named.
        meta: what its link carried.
        outcome: how the ledger counts its end; empty: it is tried again.
        parent: the page that its link was found on first; None: a seed.
    """

    url: str
    reason: str
    status: int | None
    attempts: int
    to: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = ""
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The books of a crawl that is complete.

    Attributes:
        crawl: its name.
        group: whose memory it is.
        admitted: URLs in all.
        outcomes: how they ended: ``ok``, ``http_404``, ``failed_timeout`` …
        counts: everything else that was counted: ``duplicate``, ``filtered:<reason>`` …
    """

    crawl: str
    group: str
    admitted: int
    outcomes: Mapping[str, int]
    counts: Mapping[str, int]


@cache
def overridden(spider: type, base: type) -> frozenset[str]:
    """The names of the hooks that ``spider`` has of its own: the others are not called, and cost nothing."""
    hooks = [name for name in vars(base) if name.startswith("on_")]
    return frozenset([name for name in hooks if getattr(spider, name) is not getattr(base, name)])


async def call(spider: "Spider", hook: str, *arguments: object) -> None:
    """Call a hook, sync or async. Raises whatever it raises."""
    result = getattr(spider, hook)(*arguments)
    if inspect.isawaitable(result):
        await result


async def tell(spider: "Spider", hook: str, *arguments: object) -> None:
    """Call a hook whose errors change nothing: they are logged."""
    try:
        await call(spider, hook, *arguments)
    except blame.RAISED as error:
        blame.unless_we_are_stopped(error)
        log.exception("%s of spider %s raised; the crawl goes on", hook, type(spider).__qualname__)
