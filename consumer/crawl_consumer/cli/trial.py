"""crawl-try: a whole crawl in one process, without servers."""

import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Annotated

import typer
from rich.console import Console

from crawl_consumer import progress
from crawl_consumer.cli.consumer_options import (
    CacheOption,
    ConcurrencyOption,
    HostsOption,
    OutputOption,
    QuietOption,
    SpiderOption,
)
from crawl_consumer.cli.workbench_options import AllowNetworkOption, CrawlOption
from crawl_consumer.resolver import read_hosts
from crawl_consumer.settings import DEFAULT_CONCURRENCY, ConsumerSettings
from crawl_consumer.spiders.choosing import spiders_for
from crawl_consumer.workbench import summary
from crawl_consumer.workbench.looking import url_of
from crawl_consumer.workbench.rules import rules_for
from crawl_consumer.workbench.trial import DEFAULT_MAX_PAGES, DEFAULT_PATIENCE_S, Trial
from crawl_producer.command import (
    DebugOption,
    ExitCode,
    JsonOption,
    TopologyOption,
    checked,
    examples,
    load_or_exit,
    run,
)

PROGRAM = "crawl-try"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

UrlsArgument = Annotated[
    list[str], typer.Argument(metavar="URL...", help="Where the crawl begins.", parser=checked(url_of))
]
MaxPagesOption = Annotated[int, typer.Option(min=0, help="URLs to take on in all; 0: no limit of its own.")]
PatienceOption = Annotated[float, typer.Option(min=0, help="End when nothing can be fetched for so many seconds.")]


@app.command(
    epilog=examples(
        "crawl-try https://docs.python.org/3/",
        "crawl-try https://example.org/ --spider my_spiders:Titles --max-pages 20 | jq .title",
        "CRAWL_DELAY_S=0 crawl-try http://127.0.0.1:8000/ --allow-network 127.0.0.0/8 --output pages.jsonl",
        "crawl-try --crawl news https://example.org/politics/ --quiet --output items.csv",
    )
)
def crawl_try(
    urls: UrlsArgument,
    *,
    spider: SpiderOption = None,
    output: OutputOption = [],  # noqa: B006 - typer makes a list of its own
    max_pages: MaxPagesOption = DEFAULT_MAX_PAGES,
    patience: PatienceOption = DEFAULT_PATIENCE_S,
    concurrency: ConcurrencyOption = DEFAULT_CONCURRENCY,
    crawl: CrawlOption = None,
    allow_network: AllowNetworkOption = [],  # noqa: B006 - typer makes a list of its own
    hosts: HostsOption = None,
    cache: CacheOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Crawl in this one process, without RabbitMQ and Redis, to try a spider or a crawl's rules.

    Items go to stdout as JSON lines, the summary to stderr. It is as polite as any crawl: one request a second to a
    host, robots.txt obeyed. Without exchanges.yaml it stays on the hosts of its URLs. Nothing is kept for later:
    the first Ctrl-C finishes what is in flight and ends it, the second leaves at once.

    Exit codes: 0 complete or stopped, 12 output, 13 spider, 14 what is left would have to wait (docs/commands.md).
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)
    outputs = tuple(output) or ("-",)

    async def main() -> int:
        trial = Trial(rules_for(loaded, crawl, allow_networks=allow_network), max_pages=max_pages)
        settings = ConsumerSettings(
            queues=trial.queues,
            concurrency=concurrency,
            outputs=outputs,
            until_done=True,
            hosts=read_hosts(hosts) if hosts else {},
            cache=cache,
            secrets=loaded.secrets,
        )
        spiders = spiders_for(trial.queues, trial.topology, named=spider, file=loaded.path)
        ended = await trial.run(urls, settings, spiders, patience_s=patience, show=_show(quiet=quiet))
        said = json.dumps(summary.told(ended)) if as_json else "\n".join(summary.lines(ended))
        print(said, file=sys.stdout if as_json and "-" not in outputs else sys.stderr)
        return ExitCode.DONE if ended.waits is None else ExitCode.TIMED_OUT

    run(PROGRAM, main, debug=debug, log_level=logging.WARNING if quiet else logging.INFO)


def _show(*, quiet: bool) -> Callable[[Callable[[], Awaitable[progress.Books]]], AbstractAsyncContextManager[None]]:
    console = Console(stderr=True)
    return lambda read: nullcontext() if quiet else progress.shown(read, console=console)


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
