"""crawl-parse: what a spider makes of one page."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crawl_consumer.cli.consumer_options import CacheOption, SpiderOption
from crawl_consumer.cli.workbench_options import AllowNetworkOption, CrawlOption, UrlArgument
from crawl_consumer.page import Page
from crawl_consumer.workbench.dissection import Dissection, saved_page, spider_at
from crawl_consumer.workbench.looking import looked_at, no_page, page_of
from crawl_consumer.workbench.rules import Rules, rules_for
from crawl_producer.command import DebugOption, TopologyOption, checked, examples, load_or_exit, run
from crawl_producer.errand import Errand
from crawl_producer.message import UrlMessage

PROGRAM = "crawl-parse"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _object(text: str) -> dict[str, Any]:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("it is JSON, and no object")  # noqa: TRY004 - checked() tells of this one
    return said


FileOption = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="PATH", help="A saved page; URL is where it is from.", show_default=False),
]
ToOption = Annotated[
    str | None, typer.Option(metavar="METHOD", help="The spider's method for this page.", show_default="parse")
]
MetaOption = Annotated[
    dict[str, Any] | None,
    typer.Option(
        metavar="JSON", help="What the page's link carried, an object.", parser=checked(_object), show_default=False
    ),
]
DepthOption = Annotated[int, typer.Option(min=0, help="Count the page as so many links away from its seed.")]


@app.command(
    epilog=examples(
        "crawl-parse https://docs.python.org/3/ --spider my_spiders:Titles",
        "crawl-parse https://example.org/ --crawl news | jq '.links[] | select(.in_scope)'",
        "crawl-parse https://example.org/a --file saved/a.html --spider my_spiders:Titles | jq .items",
        'crawl-parse https://example.org/a --to article --meta \'{"section": "politics"}\'',
    )
)
def parse(
    url: UrlArgument,
    *,
    spider: SpiderOption = None,
    file: FileOption = None,
    to: ToOption = None,
    meta: MetaOption = None,
    depth: DepthOption = 0,
    allow_network: AllowNetworkOption = [],  # noqa: B006 - typer makes a list of its own
    cache: CacheOption = None,
    crawl: CrawlOption = None,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what a spider makes of one page, as JSON: its items, and where each link would be sent, or why not.

    The page counts as a seed, so links are in scope on its own host, unless the crawl's rules say otherwise.

    Exit codes: 0 done, 13 the spider cannot be loaded or raised, 18 there is no page (all: docs/commands.md).
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)
    errand = _errand(to, meta)

    async def main() -> None:
        rules = rules_for(loaded, crawl, allow_networks=allow_network)
        taking_apart = Dissection(spider_at(url, rules, named=spider, file=loaded.path), rules)
        if file is None:
            page, message = await _fetched(url, rules, depth, errand, cache)
        else:
            page, message = saved_page(file, url, rules.crawl, depth=depth, errand=errand)
        print(_printable(json.dumps(await taking_apart.of(page, message), indent=2, ensure_ascii=False)))

    run(PROGRAM, main, debug=debug)


def _errand(to: str | None, meta: dict[str, Any] | None) -> Errand:
    try:
        return Errand.of(to=to, route=None, priority=None, meta=meta) or Errand()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def _fetched(url: str, rules: Rules, depth: int, errand: Errand, cache: Path | None) -> tuple[Page, UrlMessage]:
    looks = await looked_at(rules, url, cache=cache)
    if looks[-1].outcome != "ok":  # a spider gets no other page
        raise no_page(looks[-1])
    return page_of(looks, rules.crawl, depth=depth, errand=errand)


def _printable(text: str) -> str:
    """The same JSON, without what a terminal would obey: JSON itself asks for no more than C0 to be escaped."""
    return "".join([char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text])


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
