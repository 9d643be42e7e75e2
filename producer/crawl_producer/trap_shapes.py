"""URLs in the shape of a trap: paths that grow or repeat themselves, queries without end, session ids.

Where a page links to itself by a relative reference that ends in a slash, each fetch makes a longer path; where a form
or a filter adds a parameter to what is there, each makes a longer query. Heritrix refuses paths of more than 20
segments, and a part that follows itself more than twice (TooManyPathSegmentsDecideRule, PathologicalPathDecideRule),
StormCrawler a segment that is there three times (BasicURLFilter). The defaults here are as wide or wider: tiles
(``/0/0/0.png``) and folders of hashes (``/00/00/01/``) repeat themselves honestly.
"""

from collections import Counter

from crawl_dedup import MAX_URL_CHARS, has_session_id
from crawl_producer.topology import ScopeSpec

#: Slashes of a URL whose path has one segment: those of https://host/segment.
_SLASHES = 3


class TrapShapes:
    """The limits of one crawl to the shape of its URLs; call it with a canonical URL.

    Args:
        spec: the crawl's ``scope:``.

    Attributes:
        harmless_slashes: a URL with no more of them …
        harmless_ampersands: … and no more of these is no trap, so who has many URLs to ask for counts first.
    """

    def __init__(self, spec: ScopeSpec) -> None:
        self._segments = _or_any(spec.max_path_segments)
        self._alike = _or_any(spec.max_same_segment)
        self._parameters = _or_any(spec.max_query_parameters)
        self._without_sessions = not spec.session_ids
        self.harmless_slashes = min(self._segments, self._alike) + _SLASHES - 1
        self.harmless_ampersands = self._parameters - 1
        if self._without_sessions:  # which says nothing of what is counted
            self.harmless_slashes = 0

    def __call__(self, url: str) -> str | None:
        """``path_segments``, ``same_segment``, ``query_parameters``, ``session_id``, or None."""
        before, _, query = url.partition("?")
        segments = before.split("/")[_SLASHES:]
        if not segments[-1]:
            segments.pop()
        if len(segments) > self._segments:
            return "path_segments"
        # A segment that is there n times leaves n - 1 fewer distinct ones.
        if len(segments) - len(set(segments)) >= self._alike and max(Counter(segments).values()) > self._alike:
            return "same_segment"
        if query and query.count("&") >= self._parameters:
            return "query_parameters"
        return "session_id" if self._without_sessions and has_session_id(url) else None


def _or_any(limit: int | None) -> int:
    return MAX_URL_CHARS if limit is None else limit  # no URL has more of anything
