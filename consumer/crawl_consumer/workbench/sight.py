"""What there is to tell of a look, for people and for programs. What strangers wrote cannot steer the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crawl_consumer import directives
from crawl_consumer.page import Page
from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.robots import Allowed, Blocked, Denied, token_of
from crawl_consumer.workbench.looking import Look, message_for
from crawl_dedup import escaped
from crawl_producer.topology import CrawlSpec


def told(looks: Sequence[Look], spec: CrawlSpec) -> list[dict[str, Any]]:
    """Each look as plain data; ``page`` is there when it gave one that a spider would get."""
    return [_told(look, spec) for look in looks]


def lines(looks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The answer of :func:`told` for people."""
    for look in looks:
        yield plain(look["url"])
        for name, value in _fields(look):
            yield f"  {name:10} {plain(value)}"
        if headers := look.get("headers"):
            yield "  headers"
            yield from (f"    {plain(name)}: {plain(value)}" for name, value in headers.items())


def plain(text: object) -> str:
    """With control characters, which a terminal would obey, as Python writes them."""
    return escaped(str(text))


def _told(look: Look, spec: CrawlSpec) -> dict[str, Any]:
    about: dict[str, Any] = {"url": look.url, "robots": _robots(look), "outcome": look.outcome}
    match look.result:
        case FetchFailure(kind, detail, elapsed_ms):
            about["failure"] = {"kind": kind.value, "detail": detail}
            about["elapsed_ms"] = round(elapsed_ms, 1)
        case Response() as response:
            about |= _answer(response)
            if look.outcome == "ok":
                about["page"] = _page(look, response, spec)
    return about


def _robots(look: Look) -> dict[str, Any]:
    match look.robots:
        case Allowed(crawl_delay_s):
            return {"verdict": "allowed", "because": look.robots_because, "crawl_delay_s": crawl_delay_s}
        case Denied():
            return {"verdict": "denied", "because": look.robots_because}
        case Blocked():
            return {"verdict": "blocked", "because": look.robots_because.removeprefix("blocked: ")}
        case _:
            return {"verdict": "unreachable", "because": look.robots_because}


def _answer(response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "reason": response.reason,
        "location": response.location,
        "content_type": response.content_type,
        "size_bytes": response.size_bytes,
        "wire_bytes": response.wire_bytes,
        "body_read": response.body_read,
        "tls_verified": response.tls_verified,
        "elapsed_ms": round(response.elapsed_ms, 1),
        "answered_after_ms": round(response.answered_after_ms, 1),
        "headers": dict(response.headers),
    }


def _page(look: Look, response: Response, spec: CrawlSpec) -> dict[str, Any]:
    page = Page(response, message_for("looked-at", look.url))
    said = directives.read(page.headers.get("x-robots-tag", ""), page.metas, token_of(spec))
    return {
        "html": page.is_html,
        "charset": page.encoding,
        "header_charset": response.header_charset,
        "title": page.title,
        "links": len(page.links()),
        "noindex": said.noindex,
        "nofollow": said.nofollow,
        "parse_error": page.parse_error,
    }


def _fields(look: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "robots", _robots_line(look["robots"])
    if failure := look.get("failure"):
        yield "failure", f"{failure['kind']}: {failure['detail']}"
        yield "time", f"{look['elapsed_ms']:,.0f} ms"
    elif "status" in look:
        yield from _answer_fields(look)
    yield "outcome", look["outcome"]
    if look["outcome"] == "blocked":
        yield "remedy", "where an address is not public, --allow-network goes there for this once"


def _robots_line(robots: Mapping[str, Any]) -> str:
    because = f" ({robots['because']})" if robots["because"] else ""
    delay_s = robots.get("crawl_delay_s")
    return f"{robots['verdict']}{because}" + (f", crawl delay {delay_s:g} s" if delay_s else "")


def _answer_fields(look: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "status", f"{look['status']} {look['reason']}".strip()
    if look["location"]:
        yield "location", look["location"]
    if not look["tls_verified"]:
        yield "tls", "nobody verified the certificate"
    yield "time", f"{look['elapsed_ms']:,.0f} ms, the answer began after {look['answered_after_ms']:,.0f} ms"
    yield "type", look["content_type"] or "none"
    read = f"{look['size_bytes']:,} bytes ({look['wire_bytes']:,} as sent)"
    yield "size", read if look["body_read"] else f"{look['wire_bytes']:,} bytes announced, no text: not downloaded"
    if page := look.get("page"):
        yield from _page_fields(page)


def _page_fields(page: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "charset", f"{page['charset']} (the header says {page['header_charset'] or 'nothing'})"
    if page["html"]:
        yield "title", page["title"] or "none"
        yield "links", page["links"]
    if asked := [name for name in ("noindex", "nofollow") if page[name]]:
        yield "asks for", ", ".join(asked)
    if page["parse_error"]:
        yield "parsing", page["parse_error"]
