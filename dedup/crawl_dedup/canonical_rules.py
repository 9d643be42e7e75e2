"""Rules by which a crawl takes several canonical URLs for one page, on top of the URL standard; off unless asked for.

They are opt-in because every one of them may merge pages that differ, and what is merged is not fetched. They belong to
the crawl as the canonicaliser does: whoever joins it must have the same ones, so they are part of its name
(:attr:`CanonicalRules.version`), which the ledger pins.
"""

from collections.abc import Collection
from functools import lru_cache

from crawl_dedup.canonical import CANONICALISER_VERSION, canonicalize
from crawl_dedup.session_ids import SESSION_IDS_VERSION, is_session_id, without_session_ids
from crawl_dedup.tracking import TRACKING_VERSION, is_tracking

#: URLs whose page is remembered, because pages have most of their links in common: it takes 2 us to find one. About 300
#: bytes each, 16 MB if all are as long as can be.
REMEMBERED = 4096


class CanonicalRules:
    """Makes one URL of those that mean the same page; call it with a canonical URL, and it returns one.

    To apply it twice changes nothing more. It is true when there is any rule.

    Args:
        drop_tracking: leave out the parameters of :mod:`crawl_dedup.tracking`.
        drop_session_ids: leave out those of :mod:`crawl_dedup.session_ids`, in queries and behind semicolons in paths.
        drop_parameters: leave out these as well, in any case; with ``*`` at its end, all that begin so.
        sort_query: parameters in the order of their names; those of one name keep their order.

    Attributes:
        version: names the canonicaliser and the rules, each with the version of its list: ``1``, or for example
            ``1+tracking.1+sorted``. Equal exactly when both give the same URLs.
    """

    __slots__ = ("_any", "_names", "_page", "_prefixes", "_session_ids", "_sorted", "_tracking", "version")

    def __init__(
        self,
        *,
        drop_tracking: bool = False,
        drop_session_ids: bool = False,
        drop_parameters: Collection[str] = (),
        sort_query: bool = False,
    ) -> None:
        dropped = sorted({name.lower() for name in drop_parameters})
        self._tracking = drop_tracking
        self._session_ids = drop_session_ids
        self._names = frozenset(dropped)
        self._prefixes = tuple([name[:-1] for name in dropped if name.endswith("*")])
        self._sorted = sort_query
        parts = [str(CANONICALISER_VERSION)]
        parts += [f"tracking.{TRACKING_VERSION}"] if drop_tracking else []
        parts += [f"session_ids.{SESSION_IDS_VERSION}"] if drop_session_ids else []
        parts += [f"drop({','.join(dropped)})"] if dropped else []
        parts += ["sorted"] if sort_query else []
        self.version = "+".join(parts)
        self._any = len(parts) > 1
        self._page = lru_cache(REMEMBERED)(self._find)

    def __repr__(self) -> str:
        return f"<CanonicalRules {self.version}>"

    def __bool__(self) -> bool:
        return self._any

    def __call__(self, url: str) -> str:
        """What stands for ``url``, which is canonical."""
        return self._page(url) if self._any else url

    def _find(self, url: str) -> str:
        before, mark, query = url.partition("?")
        if mark and (left := self._query(query)) != query:
            url = f"{before}?{left}" if left else before
        if self._session_ids and ";" in before and (left := without_session_ids(before)) != before:
            return canonicalize(left + url[len(before) :])
        return url

    def _query(self, query: str) -> str:
        """What is left of it; empty when nothing but empty parameters is."""
        parameters = query.split("&")
        kept = [parameter for parameter in parameters if not self._is_dropped(parameter)]
        if len(kept) < len(parameters) and not any(kept):
            return ""
        if self._sorted:
            kept.sort(key=_name)
        return "&".join(kept)

    def _is_dropped(self, parameter: str) -> bool:
        name = _name(parameter).lower()
        if self._tracking and is_tracking(name):
            return True
        if self._session_ids and is_session_id(parameter):
            return True
        return name in self._names or name.startswith(self._prefixes)


def _name(parameter: str) -> str:
    return parameter.partition("=")[0]


#: No rule: what the URL standard tells apart stays apart.
NO_RULES = CanonicalRules()
