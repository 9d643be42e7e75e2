"""What comes out of RabbitMQ: deliveries, pages, items and new links.

In the order of reading: :mod:`.worker`, :mod:`.intake`, :mod:`.crawl` (the story of one URL), :mod:`.fetch`,
:mod:`.outcome`, :mod:`.page`, :mod:`.spider`, :mod:`.sink`, :mod:`.harvest`, :mod:`.successors`.

What a spider needs may be imported from here; it is looked for when it is asked for, so that commands which need none
of it start as quickly as before.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawl_consumer.follow import Follow, FollowAll
    from crawl_consumer.page import Page
    from crawl_consumer.response import Response
    from crawl_consumer.spider import (
        Drop,
        Failure,
        Finished,
        Item,
        Pages,
        Refuse,
        Request,
        Rule,
        Spider,
        Yields,
    )

__all__ = [  # noqa: RUF022 - grouped by topic
    # spiders
    "Page",
    "Rule",
    "Spider",
    # what they yield
    "Follow",
    "FollowAll",
    "Item",
    "Pages",
    "Yields",
    # hooks
    "Failure",
    "Finished",
    # middlewares
    "Drop",
    "Refuse",
    "Request",
    "Response",
]

_ELSEWHERE = {"Follow": "follow", "FollowAll": "follow", "Page": "page", "Response": "response"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'spider')}"), name)


def __dir__() -> list[str]:
    return __all__
