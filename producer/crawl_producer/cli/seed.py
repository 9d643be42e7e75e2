"""crawl-seed: bring URLs into a crawl."""

import sys

import typer

from crawl_producer import opening
from crawl_producer.cli import seed_report
from crawl_producer.cli.seed_options import (
    CrawlOption,
    DelayOption,
    DepthOption,
    DryRunOption,
    EtaOption,
    ExchangeOption,
    ExpiresOption,
    KeyOption,
    RejectedOption,
)
from crawl_producer.cli.seed_run import PROGRAM, SeedRun
from crawl_producer.cli.source_options import (
    AnyHostOption,
    FeedOption,
    FileOption,
    FollowOption,
    InboxOption,
    RedisKeyOption,
    RedisUrlOption,
    SinceOption,
    SitemapOption,
    Sources,
    UrlsArgument,
    lists,
)
from crawl_producer.command import (
    DebugOption,
    ExitCode,
    JsonOption,
    TopologyOption,
    examples,
    load_or_exit,
    run,
)
from crawl_producer.delayed import SeedTimes, router_for
from crawl_producer.seed_routes import check_routes, crawl_of_inbox

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-seed --crawl docs https://docs.python.org/3/",
        "crawl-seed --crawl news --file urls.txt.gz --rejected bad.jsonl",
        "zcat urls.gz | crawl-seed --crawl news --json",
        "crawl-seed --crawl news --key news.front https://example.org/politics/",
        "crawl-seed --crawl news --eta 2026-12-01T08:00Z --expires 30d https://example.org/advent/",
        "crawl-seed --crawl news --sitemap https://example.org/robots.txt --since 24h",
        "crawl-seed --crawl news --feed https://example.org/rss.xml",
        "crawl-seed --crawl news --redis-key news:start_urls --follow",
        "crawl-seed --inbox news.inbox --follow",
    )
)
def seed(
    urls: UrlsArgument = None,
    crawl: CrawlOption = None,
    file: FileOption = None,
    sitemap: SitemapOption = None,
    feed: FeedOption = None,
    since: SinceOption = None,
    any_host: AnyHostOption = False,
    redis_key: RedisKeyOption = None,
    redis_url: RedisUrlOption = None,
    inbox: InboxOption = None,
    follow: FollowOption = False,
    exchange: ExchangeOption = None,
    key: KeyOption = None,
    depth: DepthOption = 0,
    delay: DelayOption = None,
    eta: EtaOption = None,
    expires: ExpiresOption = None,
    dry_run: DryRunOption = False,
    rejected: RejectedOption = None,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Bring URLs into a crawl: canonical, deduplicated, published and confirmed.

    Killed and run again with the same input it loses nothing and doubles nothing.

    Exit codes: 0 done, 10 some lines were rejected, 4 and 5 RabbitMQ, 6 and 7 Redis (all: docs/commands.md).
    """
    sources = Sources(
        tuple(urls or ()), file, lists(sitemap, feed), since, any_host, redis_key, redis_url, inbox, follow
    )
    sources.check(interactive=sys.stdin.isatty(), dry_run=dry_run)
    if follow and (delay is not None or eta is not None or expires is not None):
        raise typer.BadParameter("--delay, --eta and --expires count from now, and --follow goes on")
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        name = crawl_of_inbox(loaded.topology, inbox, crawl) if inbox else opening.only_crawl(loaded.topology, crawl)
        times = SeedTimes.asked(delay_s=delay, eta_ms=eta, expires_s=expires)
        router = router_for(times, loaded.topology, name, exchange=exchange, key=key)
        check_routes(loaded.topology, name, exchange, key)
        with seed_report.reject_log(rejected) as reject:
            asked = SeedRun(loaded.topology, name, sources, router, depth, times, reject, quiet=as_json)
            report = await (asked.count() if dry_run else asked.admit())
        seed_report.show(report, as_json=as_json, dry_run=dry_run)
        # A service keeps what it rejects aside, and ends well when it is told to.
        told = report.rejected and not follow
        return ExitCode.SOME_REJECTED if told or report.unroutable else ExitCode.DONE

    run(PROGRAM, main, debug=debug)


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
