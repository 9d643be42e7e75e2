"""Which links belong to a crawl: one pure question, answered with the reason when the answer is no."""

import re
from collections.abc import Callable

from crawl_dedup import canonical
from crawl_producer.topology import ScopeSpec

#: Redirects followed in a row before a chain is given up; browsers stop at 20, RFC 9110 names no number.
MAX_REDIRECTS = 10


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
        self._allow = [re.compile(pattern) for pattern in spec.allow]
        self._deny = [re.compile(pattern) for pattern in spec.deny]

    def refusal(self, url: str, *, depth: int, root: str, redirects: int = 0) -> str | None:
        """Why ``url`` is not part of the crawl, or None when it is.

        Args:
            url: canonical.
            depth: links away from the seed.
            root: host of the seed that the URL descends from.
            redirects: redirects that led here since the last link.

        Returns:
            ``depth``, ``too_long``, ``host``, ``allow``, ``deny``, ``redirects`` or None. Short and few,
            because they are counters' names.
        """
        if self._max_depth is not None and depth > self._max_depth:
            return "depth"
        if redirects > MAX_REDIRECTS:
            return "redirects"
        if len(url) > self._max_url_chars:
            return "too_long"
        if not self._host_allowed(canonical.host(url), root):
            return "host"
        if self._allow and not any(pattern.search(url) for pattern in self._allow):
            return "allow"
        if self._deny and any(pattern.search(url) for pattern in self._deny):
            return "deny"
        return None


def _host_rule(spec: ScopeSpec) -> Callable[[str, str], bool]:
    if spec.any_host:
        return lambda _host, _root: True
    named = frozenset(host.lower() for host in spec.hosts)
    if not spec.subdomains:
        return (lambda host, _root: host in named) if named else (lambda host, root: host == root)

    def at_or_below(host: str, root: str) -> bool:
        return any(host == base or host.endswith("." + base) for base in (named or (root,)))

    return at_or_below
