"""crawl-shell: a Python prompt with a page."""

from typing import Annotated

import typer

from crawl_consumer.cli.consumer_options import CacheOption
from crawl_consumer.cli.workbench_options import AllowNetworkOption, LongCrawlOption, UrlArgument
from crawl_consumer.workbench import prompt
from crawl_consumer.workbench.rules import rules_for
from crawl_producer.command import DebugOption, TopologyOption, examples, load_or_exit, reporting

PROGRAM = "crawl-shell"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

ExpressionOption = Annotated[
    str | None,
    typer.Option(
        "-c", metavar="EXPRESSION", help="Print this, and no prompt; a list one entry a line.", show_default=False
    ),
]


@app.command(
    epilog=examples(
        "crawl-shell https://docs.python.org/3/",
        "crawl-shell https://example.org/ -c 'page.css(\"h1::text\").getall()'",
        "crawl-shell https://example.org/ -c 'fetch(page.links()[0]).title'",
    )
)
def shell(
    url: UrlArgument,
    *,
    expression: ExpressionOption = None,
    allow_network: AllowNetworkOption = [],  # noqa: B006 - typer makes a list of its own
    cache: CacheOption = None,
    crawl: LongCrawlOption = None,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Fetch a page as the crawler would, and open a Python prompt with it: page, and fetch(url) for another one.

    The prompt is IPython's where it is installed. Python's code runs with your rights: type what you know.

    Exit codes: 0 done, 18 there is no page, 1 the expression raised (all: docs/commands.md).
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)
    with (
        reporting(PROGRAM, debug=debug),
        prompt.hand(rules_for(loaded, crawl, allow_networks=allow_network), cache=cache) as hand,
    ):
        having = prompt.names(hand.fetch(url), hand)
        if expression is None:
            prompt.interact(having)
        elif (text := prompt.evaluated(expression, having)) is not None:
            print(text)


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
