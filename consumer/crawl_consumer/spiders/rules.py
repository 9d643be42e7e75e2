"""Rules: which links are followed, and which method parses what is behind them, without code."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crawl_consumer.follow import Follow
from crawl_consumer.links import Patterns, compiled
from crawl_consumer.page import Page
from crawl_producer.errand import Errand


@dataclass(frozen=True)
class Rule:
    """Links to follow; a link belongs to the first rule that takes it.

    Attributes:
        allow: regular expressions, one of which must be found in the URL; none: every URL.
        deny: regular expressions, none of which may be found there.
        css: only links in (or at) what this selects.
        xpath: likewise.
        to: the method (its name) that parses the pages; None: ``parse``.
        follow: whether the rules are applied to those pages too; None: only if ``to`` is None.
        route: see :meth:`crawl_consumer.page.Page.follow`.
        priority: likewise.
        meta: likewise.

    Raises:
        ValueError: a pattern is no regular expression, or the errand is impossible; with the rule's own words.
    """

    allow: Patterns = ()
    deny: Patterns = ()
    css: str | None = None
    xpath: str | None = None
    to: str | Callable[..., object] | None = None
    follow: bool | None = None
    route: str | tuple[str, str] | None = None
    priority: int | None = None
    meta: Mapping[str, Any] | None = None
    errand: Errand | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            patterns = {"allow": compiled(self.allow), "deny": compiled(self.deny)}
            name = getattr(self.to, "__name__", self.to)
            errand = Errand.of(to=name, route=self.route, priority=self.priority, meta=self.meta)
        except (re.error, ValueError) as error:
            raise ValueError(f"a Rule cannot be read: {error}") from None
        for attribute, value in {**patterns, "errand": errand}.items():
            object.__setattr__(self, attribute, value)

    @property
    def method(self) -> str | None:
        """The name of the method; None: ``parse``."""
        return None if self.errand is None else self.errand.to

    @property
    def goes_on(self) -> bool:
        """Whether the rules are applied to its pages."""
        return self.method is None if self.follow is None else self.follow


def follows(rules: Sequence[Rule], page: Page) -> Iterator[Follow]:
    """The links of a page that some rule takes, each once, rule by rule."""
    taken: set[str] = set()
    for rule in rules:
        for url in page.links(css=rule.css, xpath=rule.xpath, allow=rule.allow, deny=rule.deny):
            if url not in taken:
                taken.add(url)
                yield Follow(url, rule.errand)


def apply_to(rules: Sequence[Rule], method: str | None) -> bool:
    """Whether the rules are applied to pages of this method: to those of ``parse``, unless a rule says otherwise."""
    named = [rule.goes_on for rule in rules if rule.method == method]
    return named[0] if named else method is None


def contradiction(rules: Sequence[Rule]) -> str | None:
    """The method whose pages two rules do not agree about, if there is one."""
    for rule in rules:
        if any(other.method == rule.method and other.goes_on != rule.goes_on for other in rules):
            return rule.method or "parse"
    return None
