"""A page taken apart by a spider, as plain data: its items, and for each link where it would be sent, or why not."""

import json
import mimetypes
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawl_consumer import directives
from crawl_consumer.errors import NoPage
from crawl_consumer.page import Page
from crawl_consumer.response import Headers, Response
from crawl_consumer.robots import token_of
from crawl_consumer.sink import Record
from crawl_consumer.sinks.lines import KEY_FIELD, json_line
from crawl_consumer.spider import Made, Parsed, Spider, run
from crawl_consumer.spiders.choosing import spiders_for
from crawl_consumer.workbench.looking import message_for
from crawl_consumer.workbench.rules import Rules
from crawl_producer.errand import Errand
from crawl_producer.message import UrlMessage
from crawl_producer.own_routes import Reach
from crawl_producer.reach import queues_reached
from crawl_producer.routing import Router
from crawl_producer.scope import Scope

#: What a saved file counts as whose name says nothing: somebody saved a page.
_PAGE_TYPE = "text/html"
_NO_ERRAND = Errand()


@dataclass(frozen=True, slots=True)
class Dissection:
    """What a spider makes of pages, by a crawl's rules.

    Attributes:
        spider: takes them apart.
        rules: the crawl's, and where its messages would go.
    """

    spider: Spider
    rules: Rules

    async def of(self, page: Page, message: UrlMessage) -> dict[str, Any]:
        """All that a crawl would keep and follow of a page, and what it would not.

        Raises:
            SpiderRaised: the spider did.
            ItemInvalid: an item holds what no output can keep.
            RouteInvalid: a link's own route leads nowhere.
        """
        parsed = await run(self.spider, page)
        spec = self.rules.spec
        kept = directives.obey(page, parsed, spec.robots, token_of(spec))
        Reach(self.rules.topology, self.rules.crawl).check(kept.errands.values())
        return {
            "url": page.url,
            "status": page.status,
            "crawl": self.rules.crawl,
            "items": [_item(made) for made in kept.items],
            "items_invalid": [{"number": wrong.number, "error": wrong.error} for wrong in kept.invalid],
            "items_not_kept": {"noindex": left_out} if (left_out := len(parsed.items) - len(kept.items)) else {},
            "links": list(self._links(message, parsed, kept)),
            "no_urls": dict(parsed.rejected),
        }

    def _links(self, message: UrlMessage, parsed: Parsed, kept: Parsed) -> Iterator[dict[str, Any]]:
        scope, router = Scope(self.rules.spec.scope), Router(self.rules.spec)
        unwanted = next(iter(Counter(kept.rejected) - Counter(parsed.rejected)), None)
        followed, rules = frozenset(kept.follows), self.rules.spec.canonical.rules()
        for found in parsed.follows:
            url, errand = rules(found), kept.errands.get(found, _NO_ERRAND)
            reason = scope.refusal(url, depth=message.depth + 1, root=message.root) if found in followed else unwanted
            said = {name: value for name, value in errand.fields().items() if name != "route"}
            if reason is not None:
                yield {"url": url, "in_scope": False, "reason": reason, **said}
                continue
            exchange, key = router.named(errand.route) if errand.route else router.route(url, seed=False)
            queues = sorted(queues_reached(self.rules.topology, exchange, key))
            yield {"url": url, "in_scope": True, "exchange": exchange, "key": key, "queues": queues, **said}


def spider_at(url: str, rules: Rules, *, named: str | None = None, file: Path | None = None) -> Spider:
    """The spider of the queue that a link to ``url`` would be sent to, in a crawl by these rules.

    Args:
        url: canonical.
        rules: the crawl's.
        named: this one instead, as on the command line of ``crawl-consumer``.
        file: where exchanges.yaml is, for errors.

    Raises:
        SpiderInvalid: it cannot be had; see :func:`crawl_consumer.spiders.choosing.spiders_for`.
    """
    exchange, key = Router(rules.spec).route(url, seed=False)
    ours = [name for name, queue in rules.topology.queues.items() if queue.crawl == rules.crawl]
    reached = queues_reached(rules.topology, exchange, key)
    queue = min(reached.intersection(ours), default=ours[0])
    return spiders_for([queue], rules.topology, named=named, file=file)[queue]


def saved_page(
    path: Path, url: str, crawl: str, *, depth: int = 0, errand: Errand = _NO_ERRAND
) -> tuple[Page, UrlMessage]:
    """A page out of a file, as if it had come from ``url``.

    Raises:
        NoPage: the file cannot be read.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise NoPage(f"{path}: {error.strerror}", remedy="name a file with a page that was saved") from error
    kind = mimetypes.guess_type(path.name)[0] or _PAGE_TYPE
    response = Response(
        url=url,
        status=200,
        reason="OK",
        headers=Headers({"content-type": kind}),
        body=body,
        content_type=kind,
        wire_bytes=len(body),
    )
    message = message_for(crawl, url, depth=depth, errand=errand)
    return Page(response, message), message


def _item(made: Made) -> dict[str, Any]:
    """As an output would write it, without the key that tells it from others of its crawl."""
    item: dict[str, Any] = json.loads(json_line(Record("", made.number, made.fields, made.model)))
    del item[KEY_FIELD]
    return item
