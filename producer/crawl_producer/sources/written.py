"""What other systems write to be crawled: a URL as plain text, or a JSON object that has one."""

import json

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources.found import SHOWN_CHARS

#: Bytes of one message; no URL and no honest object around one is a fraction of it.
MAX_BYTES = 65_536
#: As far from a seed as a message can say.
MAX_DEPTH = 1_000_000


def read(number: int, body: bytes, source: str) -> Seed | Rejected:
    """The seed that ``body`` stands for, or why there is none.

    A JSON object has ``url``, and may have ``depth``. scrapy-redis' ``method`` must be GET where it is there; its
    ``meta``, and whatever else there is, is passed over.

    Args:
        number: of the message, from 1.
        body: UTF-8.
        source: where it was written to, for reports.
    """
    text = body[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if len(body) > MAX_BYTES:
        return Rejected(number, text[:SHOWN_CHARS], "too_long", source)
    try:
        url, depth = _said(text) if text.startswith("{") else (text, None)
        return Seed(number, canonicalize(url), depth=depth)
    except UrlInvalid as error:
        return Rejected(number, text[:SHOWN_CHARS], str(error), source)


def _said(text: str) -> tuple[str, int | None]:
    """The URL and depth of an object. Raises UrlInvalid: ``json``, ``no_url``, ``method`` or ``depth``."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise UrlInvalid("json") from None
    url, depth, method = said.get("url"), said.get("depth"), said.get("method", "GET")
    if not isinstance(url, str):
        raise UrlInvalid("no_url")
    if not isinstance(method, str) or method.upper() != "GET":
        raise UrlInvalid("method")
    if depth is not None and (type(depth) is not int or not 0 <= depth <= MAX_DEPTH):
        raise UrlInvalid("depth")
    return url, depth
