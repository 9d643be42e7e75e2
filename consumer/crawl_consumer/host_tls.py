"""Hosts that need not prove who they are: what exchanges.yaml says of their certificates."""

import logging
from collections.abc import Mapping

from crawl_producer.topology_hosts import HostPattern, HostSpec

log = logging.getLogger(__name__)


class HostTls:
    """The hosts of one crawl.

    Args:
        hosts: the crawl's ``hosts:``.
    """

    def __init__(self, hosts: Mapping[str, HostSpec]) -> None:
        self._patterns = [(HostPattern.of(text), spec.tls == "unverified") for text, spec in hosts.items()]

    def is_unverified(self, scheme: str, host: str, port: int) -> bool:
        """Whether the first pattern that matches a request to this origin says that any certificate will do."""
        matching = (unverified for pattern, unverified in self._patterns if pattern.matches(scheme, host, port))
        return scheme == "https" and next(matching, False)


def host_tls(crawl: str, hosts: Mapping[str, HostSpec]) -> HostTls | None:
    """Those of a crawl, which are told in a warning; None: there are none."""
    unverified = [text for text, spec in hosts.items() if spec.tls == "unverified"]
    if not unverified:
        return None
    log.warning("crawl %s: certificates of %s are not verified; anybody may answer for them", crawl, unverified)
    return HostTls(hosts)
