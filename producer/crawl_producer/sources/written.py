"""What other systems write to be crawled: a URL as plain text, or a JSON object that has one."""

import json
from collections.abc import Mapping
from typing import Any

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer.errand import Errand
from crawl_producer.errors import RouteInvalid
from crawl_producer.message import UrlMessage
from crawl_producer.own_routes import AnyRoute, OwnRoutes
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources.found import SHOWN_CHARS

#: Bytes of one message; no URL and no honest object around one is a fraction of it.
MAX_BYTES = 65_536
#: As far from a seed as a message can say.
MAX_DEPTH = 1_000_000
#: As long as a crawl's name can be: whether a URL and its errand fit into one message does not depend on the crawl.
_LONGEST_CRAWL = "c" * 200
#: And as a host's name can be.
_LONGEST_ROOT = "h" * 253
_ANY_ROUTE = AnyRoute()


def read(number: int, body: bytes, source: str, routes: OwnRoutes = _ANY_ROUTE) -> Seed | Rejected:
    """The seed that ``body`` stands for, or why there is none.

    A JSON object has ``url``, and may have ``depth`` and the four fields of an errand, ``to``, ``route``, ``priority``
    and ``meta``. scrapy-redis' ``method`` must be GET where it is there; whatever else there is, is passed over.

    Args:
        number: of the message, from 1.
        body: UTF-8.
        source: where it was written to, for reports.
        routes: judges the routes that are named.
    """
    text = body[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if len(body) > MAX_BYTES:
        return Rejected(number, text[:SHOWN_CHARS], "too_long", source)
    try:
        if not text.startswith("{"):
            return Seed(number, canonicalize(text))
        said = _object(text)
        return _fitting(Seed(number, canonicalize(_url(said)), depth=_depth(said), errand=_errand(said, routes)))
    except UrlInvalid as error:
        return Rejected(number, text[:SHOWN_CHARS], str(error), source)


def _object(text: str) -> Mapping[str, Any]:
    try:
        said: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        raise UrlInvalid("json") from None
    return said


def _url(said: Mapping[str, Any]) -> str:
    url, method = said.get("url"), said.get("method", "GET")
    if not isinstance(url, str):
        raise UrlInvalid("no_url")
    if not isinstance(method, str) or method.upper() != "GET":
        raise UrlInvalid("method")
    return url


def _depth(said: Mapping[str, Any]) -> int | None:
    depth = said.get("depth")
    if depth is not None and (type(depth) is not int or not 0 <= depth <= MAX_DEPTH):
        raise UrlInvalid("depth")
    return depth


def _errand(said: Mapping[str, Any], routes: OwnRoutes) -> Errand | None:
    """What goes with the URL. Raises UrlInvalid: the field that cannot be, and why."""
    route, meta = said.get("route"), said.get("meta")
    if meta is not None and not isinstance(meta, dict):
        raise UrlInvalid("meta: no object")
    try:
        errand = Errand.of(
            to=said.get("to"),
            route=tuple(route) if isinstance(route, list) else route,
            priority=said.get("priority"),
            meta=meta,
        )
        if errand is not None:
            routes.check([errand])
    except RouteInvalid as error:
        raise UrlInvalid(f"route: {error}") from None
    except ValueError as error:
        # It may quote keys of the object, with half characters in them, and is a header of a dead letter.
        raise UrlInvalid(str(error)[:SHOWN_CHARS].encode("utf-8", "replace").decode()) from None
    return errand


def _fitting(seed: Seed) -> Seed:
    """The seed. Raises UrlInvalid: ``too_long``, with its errand it is longer than a message may become."""
    if seed.errand is not None:
        message = UrlMessage.model_construct(
            crawl=_LONGEST_CRAWL,
            url=seed.url,
            root=_LONGEST_ROOT,
            depth=MAX_DEPTH,
            first_seen_ms=1 << 53,
            **seed.errand.fields(),
        )
        if message.room_bytes < 0:
            raise UrlInvalid("too_long")
    return seed
