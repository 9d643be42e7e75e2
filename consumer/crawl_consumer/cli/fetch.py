"""crawl-fetch: what the crawler sees at a URL."""

import json
import sys
from typing import Annotated

import typer

from crawl_consumer.cli.workbench_options import AllowNetworkOption, CrawlOption, UrlArgument
from crawl_consumer.workbench import sight
from crawl_consumer.workbench.looking import Look, looked_at
from crawl_consumer.workbench.rules import Rules, rules_for
from crawl_producer.command import DebugOption, ExitCode, JsonOption, TopologyOption, examples, load_or_exit, run

PROGRAM = "crawl-fetch"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

BodyOption = Annotated[
    bool,
    typer.Option("--body", help="Write the body to stdout, and all else to stderr.", show_default=False),
]


@app.command(
    epilog=examples(
        "crawl-fetch https://docs.python.org/3/",
        "crawl-fetch --crawl news --json https://example.org/ | jq .[-1].headers",
        "crawl-fetch --body https://example.org/ > page.html",
    )
)
def fetch(
    url: UrlArgument,
    *,
    crawl: CrawlOption = None,
    body: BodyOption = False,
    allow_network: AllowNetworkOption = [],  # noqa: B006 - typer makes a list of its own
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Show what the crawler sees at a URL: robots.txt, status, headers, timing, charset; redirects one by one.

    It asks as a crawl would, with its User-Agent and delay, and what robots.txt forbids is not fetched.

    Exit codes: 0 there is a page, 18 there is none, 3 exchanges.yaml, 9 no such crawl (all: docs/commands.md).
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        rules = rules_for(loaded, crawl, allow_networks=allow_network)
        looks = await looked_at(rules, url)
        _show(looks, rules, body=body, as_json=as_json)
        return ExitCode.DONE if looks[-1].outcome == "ok" else ExitCode.NO_PAGE

    run(PROGRAM, main, debug=debug)


def _show(looks: tuple[Look, ...], rules: Rules, *, body: bool, as_json: bool) -> None:
    told = sight.told(looks, rules.spec)
    print(json.dumps(told) if as_json else "\n".join(sight.lines(told)), file=sys.stderr if body else sys.stdout)
    response = looks[-1].response
    if body and response is not None:
        sys.stdout.buffer.write(response.body)


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
