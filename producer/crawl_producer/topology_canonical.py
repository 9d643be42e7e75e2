"""The ``canonical:`` of a crawl in exchanges.yaml: rules by which several URLs count as one page."""

import re
from typing import Annotated

from pydantic import AfterValidator

from crawl_dedup import CanonicalRules
from crawl_producer.topology_values import Frozen

#: What a name in a canonical query is made of (a comma apart, which stands between them in a crawl's rules).
_PARAMETER = re.compile(r"[^\s&=*#,]+\*?")


def _parameter(name: str) -> str:
    if not _PARAMETER.fullmatch(name) or not name.isascii():
        raise ValueError("no name of a parameter; write it as it stands in URLs, a * only at its end")
    return name


class CanonicalSpec(Frozen):
    """What :class:`crawl_dedup.CanonicalRules` are made of; all of them off."""

    drop_tracking: bool = False  #: parameters that only recognise a click: utm_*, gclid, fbclid …
    drop_session_ids: bool = False  #: ;jsessionid=… in paths, PHPSESSID and the like in queries
    drop_parameters: tuple[Annotated[str, AfterValidator(_parameter)], ...] = ()  #: these besides; ``pk_*``: all such
    sort_query: bool = False  #: parameters in the order of their names

    def rules(self) -> CanonicalRules:
        """The rules, compiled."""
        return CanonicalRules(
            drop_tracking=self.drop_tracking,
            drop_session_ids=self.drop_session_ids,
            drop_parameters=self.drop_parameters,
            sort_query=self.sort_query,
        )
