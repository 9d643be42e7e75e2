"""What a planned site asks of its visitors, and what politeness promises to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

#: The path of a host's file (RFC 9309, 2.3).
ROBOTS = "/robots.txt"


@dataclass(frozen=True, slots=True)
class Manners:
    """The manners of one site.

    Attributes:
        delay_s: from a host's answer to the next request, at least: the crawl's ``politeness.delay_s``.
        crawl_delay_s: what the robots.txt of the first host asks for instead.
        retry_after_s: for how long a host that answers 503 wants to be left alone, whole seconds.
    """

    delay_s: float
    crawl_delay_s: float
    retry_after_s: int

    def settings(self) -> dict[str, Any]:
        """The crawl's section in exchanges.yaml. No host is slower than planned, so that its delay is known exactly."""
        return {"politeness": {"delay_s": self.delay_s, "latency_factor": 0}, "robots": {"obey": True}}


def robots_txt(denied: Iterable[int], *, crawl_delay_s: float | None) -> str:
    """A host's file: the numbers of pages that nobody may ask for, and a delay."""
    lines = ["User-agent: *", *(f"Disallow: /p/{number}$" for number in denied)]
    return "\n".join(lines if crawl_delay_s is None else [*lines, f"Crawl-delay: {crawl_delay_s}"])
