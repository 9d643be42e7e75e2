"""The lines of a robots.txt: which rules hold for one crawler's name (RFC 9309, section 2.1 and 2.2).

Characters stand for octets here, so that a path compares as it was sent, whatever its encoding.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum


class Field(Enum):
    """What a line is about."""

    AGENT = "user-agent"
    ALLOW = "allow"
    DISALLOW = "disallow"
    DELAY = "crawl-delay"
    SITEMAP = "sitemap"


#: Beside the proper names those misspellings that the best known crawler has long made people used to.
_FIELDS = {each.value: each for each in Field} | {
    **dict.fromkeys(("useragent", "user agent"), Field.AGENT),
    **dict.fromkeys(("dissallow", "dissalow", "disalow", "diasllow", "disallaw"), Field.DISALLOW),
    **dict.fromkeys(("crawl delay", "crawldelay"), Field.DELAY),
    **dict.fromkeys(("sitemaps", "site-map"), Field.SITEMAP),
}
_WHITE = " \t\v\f"
_LINE_END = re.compile(r"\r\n|\r|\n")
#: A product token (RFC 9309, 2.2.1); what stands behind it, such as a version, names nobody else.
_TOKEN = re.compile(r"[A-Za-z_-]*")
_EVERYBODY = re.compile(r"\*(?:\s|$)")


@dataclass(slots=True, eq=False)
class Group:
    """What holds for one name: every group of the file that it stands in, merged.

    Attributes:
        rules: (allow or disallow, path pattern), never an empty pattern.
        crawl_delay_s: the longest that is named, 0 without any.
    """

    rules: list[tuple[Field, str]] = field(default_factory=list)
    crawl_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lines:
    """What a file says to one crawler: its own group, or everybody's where it is not named; and its sitemaps."""

    group: Group
    sitemaps: tuple[str, ...]


def read(text: str, token: str) -> Lines:
    """Read a file's lines for the crawler that goes by ``token``.

    A group is one or more user-agent lines and the rules that follow. Nothing but a rule ends its
    user-agent lines: not blank lines, and not records beside the standard, crawl-delay included
    (RFC 9309, 2.2.4). Rules before the first user-agent line hold for nobody.

    Args:
        text: one character an octet.
        token: compared without regard to case; empty: everybody's group is ours.
    """
    mine, everybody = Group(), Group()
    named = False  # even a group of ours without a rule keeps everybody's from us
    speaking_to: set[Group] = set()
    in_rules = True
    sitemaps: dict[str, None] = {}
    for what, value in _records(text):
        if what is Field.SITEMAP:
            sitemaps[value] = None
        elif what is Field.AGENT:
            if in_rules:
                speaking_to, in_rules = set(), False
            if _EVERYBODY.match(value):
                speaking_to.add(everybody)
            elif token and _product_token(value) == token.lower():
                speaking_to.add(mine)
                named = True
        elif what is Field.DELAY:
            _slow_down(speaking_to, value)
        else:
            in_rules = True
            if value:
                for group in speaking_to:
                    group.rules.append((what, value))
    return Lines(mine if named else everybody, tuple(sitemaps))


def _records(text: str) -> Iterator[tuple[Field, str]]:
    for line in _LINE_END.split(text):
        content = line.partition("#")[0].strip(_WHITE)
        name, colon, value = content.partition(":")
        if not colon:  # a forgotten colon is forgiven where the line can mean nothing else
            name, _, value = content.partition(" ")
            if len(value.split()) != 1:
                continue
        if (what := _FIELDS.get(name.strip(_WHITE).lower())) is not None:
            yield what, value.strip(_WHITE)


def _product_token(value: str) -> str:
    token = _TOKEN.match(value)
    return token[0].lower() if token else ""


def _slow_down(groups: set[Group], value: str) -> None:
    try:
        delay_s = float(value)
    except ValueError:
        return
    if math.isfinite(delay_s):
        for group in groups:
            group.crawl_delay_s = max(group.crawl_delay_s, delay_s)
