"""What can be wrong with a spider that was made, found before the first page is fetched."""

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spiders.base import Spider


def check(spider: Spider) -> None:
    """Raises SpiderInvalid: the message names what is wrong."""
    kind = type(spider)
    name: object = kind.name
    if not (isinstance(name, str) and name and "/" not in name and name.isprintable()):
        raise SpiderInvalid(f"{kind.__qualname__}.name is {name!r}", remedy="give it a short text without slashes")
