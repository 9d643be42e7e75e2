"""Which links belong to a crawl: one pure question, answered with the reason when the answer is no."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from crawl_dedup import canonical
from crawl_producer.ports import BAD_PORTS, port
from crawl_producer.topology import ScopeSpec
from crawl_producer.trap_shapes import TrapShapes

#: Redirects followed in a row before a chain is given up; browsers stop at 20, RFC 9110 names no number.
MAX_REDIRECTS = 10

#: URLs whose answer a process remembers; they take about 200 bytes each, most of it shared with other memories.
REMEMBERED = 16_384


class Scope:
    """The scope rules of one crawl, compiled once.

    Args:
        spec: the crawl's ``scope:`` of exchanges.yaml.

    Attributes:
        max_links_per_page: distinct links in scope that one page may bring.
    """

    def __init__(self, spec: ScopeSpec) -> None:
        self.max_links_per_page = spec.max_links_per_page
        self._max_depth = spec.max_depth
        self._max_url_chars = spec.max_url_chars
        self._host_allowed = _host_rule(spec)
        self._ports = frozenset(spec.ports)
        self._trap = TrapShapes(spec)
        self._harmless_slashes = self._trap.harmless_slashes
        self._harmless_ampersands = self._trap.harmless_ampersands
        self._allow = [re.compile(pattern) for pattern in spec.allow]
        self._deny = [re.compile(pattern) for pattern in spec.deny]
        self._remembered = lru_cache(REMEMBERED)(self._place)

    def refusal(self, url: str, *, depth: int, root: str, redirects: int = 0) -> str | None:
        """Why ``url`` is not part of the crawl, or None when it is.

        Args:
            url: canonical.
            depth: links away from the seed.
            root: host of the seed that the URL descends from.
            redirects: redirects that led here since the last link.

        Returns:
            ``depth``, ``redirects``, ``too_long``, ``host``, ``port``, ``path_segments``, ``same_segment``,
            ``query_parameters``, ``session_id``, ``allow``, ``deny`` or None. Short and few, because they are
            counters' names.
        """
        if self._too_deep(depth):
            return "depth"
        if redirects > MAX_REDIRECTS:
            return "redirects"
        return self._place(url, root)

    def sift(self, urls: Sequence[str], *, depth: int, root: str) -> tuple[Sequence[str], Counter[str]]:
        """The URLs that belong to the crawl, and how many do not, by the reason: :meth:`refusal` for a page's links.

        Pages have most of their links in common, so the answers are remembered; to find each anew took 4 % of a
        page's time.

        Args:
            urls: canonical and distinct.
            depth: links away from the seed.
            root: host of the seed that they descend from.
        """
        if self._too_deep(depth):
            return (), Counter(depth=len(urls)) if urls else Counter()
        kept: list[str] = []
        refused: Counter[str] = Counter()
        place = self._remembered
        for url in urls:
            if (reason := place(url, root)) is None:
                kept.append(url)
            else:
                refused[reason] += 1
        return kept, refused

    def _too_deep(self, depth: int) -> bool:
        return self._max_depth is not None and depth > self._max_depth

    def _place(self, url: str, root: str) -> str | None:
        """Why it does not belong where it is, whatever led there."""
        if len(url) > self._max_url_chars:
            return "too_long"
        if not self._host_allowed(canonical.host(url), root):
            return "host"
        if not self._port_allowed(port(url)):
            return "port"
        many = url.count("/") > self._harmless_slashes or ("&" in url and url.count("&") > self._harmless_ampersands)
        if many and (trap := self._trap(url)) is not None:
            return trap
        if self._allow and not any(pattern.search(url) for pattern in self._allow):
            return "allow"
        if self._deny and any(pattern.search(url) for pattern in self._deny):
            return "deny"
        return None

    def _port_allowed(self, number: int) -> bool:
        return number in self._ports if self._ports else number not in BAD_PORTS


def _host_rule(spec: ScopeSpec) -> Callable[[str, str], bool]:
    if spec.any_host:
        return lambda _host, _root: True
    named = frozenset(host.lower() for host in spec.hosts)
    if not spec.subdomains:
        return (lambda host, _root: host in named) if named else (lambda host, root: host == root)

    def at_or_below(host: str, root: str) -> bool:
        return any(host == base or host.endswith("." + base) for base in (named or (root,)))

    return at_or_below
