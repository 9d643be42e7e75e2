"""What to do with a page: a Spider says, its items and follows are collected here.

A spider is a class in the user's own folder::

    from crawl_consumer.spider import Spider

    class Headlines(Spider):
        name = "headlines"

        def parse(self, page):
            yield {"url": page.url, "headline": page.css("h1::text").get()}
            for url in page.links():
                yield page.follow(url)
"""

import dataclasses
import inspect
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from crawl_consumer.errors import SpiderInvalid, SpiderRaised
from crawl_consumer.page import Follow, Page
from crawl_dedup.errors import UrlInvalid


class _DataclassInstance(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


#: A record to keep.
Item = Mapping[str, object] | BaseModel | _DataclassInstance
#: What a spider may return: anything to iterate over, at once or asynchronously, or nothing.
Yields = Iterable[Item | Follow] | AsyncIterable[Item | Follow] | Awaitable[Iterable[Item | Follow] | None] | None

_MAX_ERROR_CHARS = 300


class Spider:
    """Takes pages apart. Subclasses override :meth:`parse`; one instance serves all pages of a process."""

    #: Names the spider in logs.
    name: ClassVar[str] = "pages"

    def parse(self, page: Page) -> Yields:
        """Yield items to keep and follows to crawl; it may be a generator, an async one, or return a list.

        Unless overridden it yields one record about the page and follows all its links. It is not called for
        redirects and errors.
        """
        return _record_and_links(page)


@dataclass(frozen=True, slots=True)
class Made:
    """An item: its fields, and the class that it was an instance of (None: a plain mapping)."""

    fields: Mapping[str, object]
    model: type | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a spider made of a page.

    Attributes:
        items: in the order in which they were yielded.
        follows: distinct canonical URLs, in the order in which they were yielded.
        rejected: references that are no URL to crawl, counted by reason.
    """

    items: tuple[Made, ...] = ()
    follows: tuple[str, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Pages:
    """What is kept of a page unless a spider says otherwise; the class names the table in databases.

    Attributes:
        url: canonical.
        status: the HTTP status.
        content_type: the media type.
        title: white space collapsed.
        depth: links away from its seed.
        parent: the page that it was found on.
        time: of the fetch, ISO 8601 in UTC.
        bytes: of its body.
        links: distinct ones.
    """

    url: str
    status: int
    content_type: str
    title: str | None
    depth: int
    parent: str | None
    time: str
    bytes: int
    links: int


def _record_and_links(page: Page) -> Iterator[Item | Follow]:
    found = page.links()
    yield Pages(
        page.url,
        page.status,
        page.content_type,
        page.title,
        page.depth,
        page.parent,
        datetime.fromtimestamp(page.fetched_at, UTC).isoformat(timespec="milliseconds"),
        page.size_bytes,
        len(found),
    )
    for url in found:
        yield Follow(url)


async def run(spider: Spider, page: Page) -> Parsed:
    """Let ``spider`` parse ``page`` to the end.

    Raises:
        SpiderRaised: its code did, or it yielded something that is neither an item nor a follow.
    """
    items: list[Made] = []
    follows: dict[str, None] = {}

    def take(thing: object) -> None:
        if isinstance(thing, Follow):
            try:
                follows[page.resolve(thing.url)] = None
            except UrlInvalid:  # the page counted it
                return
        else:
            items.append(_made(thing))

    try:
        result: Any = spider.parse(page)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, AsyncIterable):
            async for thing in result:
                take(thing)
        elif result is not None:
            for thing in result:
                take(thing)
    except Exception as error:
        raise SpiderRaised(_in_one_line(spider, page, error)) from error
    return Parsed(tuple(items), tuple(follows), page.rejected)


def load_spider(name: str) -> Spider:
    """An instance of the class that ``module:Class`` names; the working folder is looked in first.

    Raises:
        SpiderInvalid: there is none, or importing or making it failed.
    """
    module_name, colon, class_name = name.partition(":")
    if not (module_name and colon and class_name):
        raise SpiderInvalid(f"{name!r} names no spider", remedy="write it as module:Class, e.g. my_spiders:Headlines")
    spiders = _spiders_of(module_name)
    if class_name not in spiders:
        there = ", ".join(f"{module_name}:{key}" for key, known in spiders.items() if known is not Spider)
        remedy = f"there is {there}" if there else "write a class there: class Headlines(crawl_consumer.spider.Spider)"
        raise SpiderInvalid(f"module {module_name!r} has no spider {class_name!r}", remedy=remedy)
    try:
        return spiders[class_name]()
    except Exception as error:
        raise SpiderInvalid(f"{name} cannot be made: {error!r}", remedy="it is called without arguments") from error


def _spiders_of(module_name: str) -> dict[str, type[Spider]]:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise SpiderInvalid(f"module {module_name!r} needs {error.name!r}", remedy="install it") from error
        remedy = f"run the command in the folder where {module_name.partition('.')[0]}.py is"
        raise SpiderInvalid(f"no module {module_name!r} in {folder} or installed", remedy=remedy) from error
    except Exception as error:
        raise SpiderInvalid(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}",
            remedy=f"mend {_import_place(error)}",
        ) from error
    return {key: value for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Spider)}


def _made(thing: object) -> Made:
    if isinstance(thing, Mapping):
        return Made(thing)
    if isinstance(thing, BaseModel):
        return Made(thing.model_dump(), type(thing))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return Made({f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}, type(thing))
    raise TypeError(
        f"it yielded {thing!r:.60}; yield page.follow(url), a dict, a pydantic model or a dataclass instance"
    )


def _in_one_line(spider: Spider, page: Page, error: Exception) -> str:
    name = f"{type(spider).__qualname__}.parse"
    text = f"{name} at {_spider_place(spider, error)}: {type(error).__name__}: {error}"
    return f"{' '.join(text.split())[:_MAX_ERROR_CHARS]} (on {page.url})"


def _spider_place(spider: Spider, error: Exception) -> str:
    """The innermost line of the spider's own file that the error passed through, else where parse begins."""
    code = inspect.unwrap(type(spider).parse).__code__
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == code.co_filename:
            return f"{frame.filename}:{frame.lineno}"
    return f"{code.co_filename}:{code.co_firstlineno}"


def _import_place(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
