"""What can be wrong with a spider that was made, found before the first page is fetched."""

import inspect

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spiders.base import Spider, methods
from crawl_consumer.spiders.rules import Rule, contradiction


def check(spider: Spider) -> None:
    """Raises SpiderInvalid: the message names what is wrong."""
    kind: type[Spider] = type(spider)
    name: object = kind.name
    if not (isinstance(name, str) and name and "/" not in name and name.isprintable()):
        raise SpiderInvalid(f"{kind.__qualname__}.name is {name!r}", remedy="give it a short text without slashes")
    _check_several(kind, "rules", "Rule(...)")
    for rule in kind.rules:
        _check_rule(kind, rule)
    for which in ("request_middlewares", "response_middlewares"):
        _check_several(kind, which, "function")
        for middleware in getattr(kind, which):
            _check_middleware(kind, which, middleware)
    if method := contradiction(kind.rules):
        said = f"rules of {kind.__qualname__} do not agree whether pages of {method!r} are followed"
        raise SpiderInvalid(said, remedy="give those rules the same follow=")


def _check_several(kind: type, name: str, of: str) -> None:
    if not isinstance(several := getattr(kind, name), list | tuple):
        said = f"{kind.__qualname__}.{name} is {several!r:.60}"
        raise SpiderInvalid(said, remedy=f"make it a tuple, with a comma even behind a single one: ({of},)")


def _check_middleware(kind: type, where: str, middleware: object) -> None:
    """What is called with ``await`` must be async; of an object that can be called nobody knows before it was."""
    if not callable(middleware) or (inspect.isfunction(middleware) and not inspect.iscoroutinefunction(middleware)):
        name = getattr(middleware, "__qualname__", repr(middleware))
        raise SpiderInvalid(f"{name} in {kind.__qualname__}.{where} is no async function", remedy="write async def")


def _check_rule(kind: type, rule: object) -> None:
    if not isinstance(rule, Rule):
        raise SpiderInvalid(f"{kind.__qualname__}.rules has {rule!r:.60}", remedy="write Rule(allow=..., to=...)")
    if rule.method is not None and rule.method not in methods(kind):
        there = ", ".join(sorted(methods(kind)))
        raise SpiderInvalid(f"a rule of {kind.__qualname__} names no method: {rule.method!r}", remedy=f"it has {there}")
