"""crawl-seed: bring URLs into a crawl."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from crawl_dedup import Fingerprinter
from crawl_producer import opening
from crawl_producer.admission import Admission
from crawl_producer.amqp import AmqpBroker
from crawl_producer.cli.seed_options import (
    CrawlOption,
    DelayOption,
    DepthOption,
    DryRunOption,
    EtaOption,
    ExchangeOption,
    ExpiresOption,
    FileOption,
    KeyOption,
    RejectedOption,
    UrlsArgument,
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
from crawl_producer.errors import OutputNotWritable, UnknownName, Unroutable
from crawl_producer.reach import keys_bound, queues_reached
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding, SeedReport
from crawl_producer.seeds import Rejected, Seed, bounded_lines, opened, parse
from crawl_producer.topology import Topology

PROGRAM = "crawl-seed"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-seed --crawl docs https://docs.python.org/3/",
        "crawl-seed --crawl news --file urls.txt.gz --rejected bad.jsonl",
        "zcat urls.gz | crawl-seed --crawl news --json",
        "crawl-seed --crawl news --key news.front https://example.org/politics/",
        "crawl-seed --crawl news --eta 2026-12-01T08:00Z --expires 30d https://example.org/advent/",
    )
)
def seed(
    urls: UrlsArgument = None,
    crawl: CrawlOption = None,
    file: FileOption = None,
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
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        name = opening.only_crawl(loaded.topology, crawl)
        times = SeedTimes.asked(delay_s=delay, eta_ms=eta, expires_s=expires)
        router = router_for(times, loaded.topology, name, exchange=exchange, key=key)
        _check_routes(loaded.topology, name, exchange, key)
        with ExitStack() as stack:
            reject = stack.enter_context(_reject_log(rejected))
            entries, on_progress = stack.enter_context(_input(urls or [], file, quiet=as_json))
            if dry_run:
                counting = Fingerprinter(b"dry run", 0)
                seeding = Seeding(name, None, counting.seed_parent, on_rejected=reject, on_progress=on_progress)
                report = await seeding.run(entries)
            else:
                report = await _admit(loaded.topology, name, router, entries, depth, times, reject, on_progress)
        _print(report, as_json=as_json, dry_run=dry_run)
        return ExitCode.SOME_REJECTED if report.rejected or report.unroutable else ExitCode.DONE

    run(PROGRAM, main, debug=debug)


async def _admit(
    topology: Topology,
    crawl: str,
    router: Router,
    entries: Iterable[Seed | Rejected],
    depth: int,
    times: SeedTimes,
    on_rejected: Callable[[Rejected], None],
    on_progress: Callable[[SeedReport], None],
) -> SeedReport:
    consumer = opening.identity(PROGRAM)
    async with (
        opening.redis(topology, PROGRAM) as redis,
        AmqpBroker(topology.connection, name=PROGRAM) as broker,
        opening.ledgers(redis, topology, crawl, topology.groups(crawl), consumer=consumer) as ledgers,
    ):
        max_pages = topology.crawls[crawl].scope.max_pages or 0
        admission = Admission(ledgers, broker, router, max_pages=max_pages, refused_tries=None)
        seeding = Seeding(
            crawl,
            admission,
            ledgers[0].seed_parent,
            depth=depth,
            not_before_ms=times.not_before_ms,
            expires_ms=times.expires_ms,
            on_rejected=on_rejected,
            on_progress=on_progress,
        )
        return await seeding.run(entries)


def _check_routes(topology: Topology, crawl: str, exchange: str | None, key: str | None) -> None:
    """An override may lead nowhere; what exchanges.yaml itself says was checked when it was read."""
    if exchange is not None and exchange not in topology.exchanges:
        raise UnknownName(
            f"no exchange is called {exchange!r}",
            remedy=f"exchanges.yaml has {', '.join(topology.exchanges)}",
        )
    if exchange is None and key is None:
        return
    spec = topology.crawls[crawl]
    target, routing_key = exchange or spec.exchange, key if key is not None else spec.seed_key or spec.key
    reached = queues_reached(topology, target, routing_key)
    if foreign := [queue for queue in reached if topology.queues[queue].crawl != crawl]:
        raise Unroutable(
            f"exchange {target!r} and key {routing_key!r} lead to {foreign[0]}, a queue of another crawl",
            remedy=f"seed --crawl {topology.queues[foreign[0]].crawl}, or name another exchange or key",
        )
    groups = {topology.queues[queue].group for queue in reached}
    if reached and (left := [group for group in topology.groups(crawl) if group not in groups]):
        raise Unroutable(
            f"exchange {target!r} and key {routing_key!r} reach no queue of group {left[0]!r}",
            remedy="seeds belong to every group of their crawl; name an exchange and key that reach them all",
        )
    if not reached:
        raise Unroutable(
            f"no queue is bound to exchange {target!r} for the key {routing_key!r}",
            remedy=f"keys bound there: {', '.join(keys_bound(topology, target)) or 'none'}",
        )


@contextmanager
def _input(
    urls: Sequence[str], file: Path | None, *, quiet: bool
) -> Iterator[tuple[Iterator[Seed | Rejected], Callable[[SeedReport], None]]]:
    """The entries, and what shows the progress on a terminal: of the file's bytes where its size is known."""
    if urls and file is not None:
        raise typer.BadParameter("give URLs or --file, not both")
    if not urls and file is None and sys.stdin.isatty():
        raise typer.BadParameter("no URLs: give some, or --file, or pipe them in")
    if urls:
        yield parse(urls), lambda _: None
        return
    with opened(file, sys.stdin.buffer) as lines, _bar(file, quiet=quiet) as bar:
        yield parse(bounded_lines(lines.stream)), lambda report: bar(lines.position(), report)


@contextmanager
def _bar(file: Path | None, *, quiet: bool) -> Iterator[Callable[[int, SeedReport], None]]:
    console = Console(stderr=True)
    size = file.stat().st_size if file is not None and file.is_file() else None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("seeding", total=size)

        def show(position: int, report: SeedReport) -> None:
            text = f"{report.admitted:,} admitted, {report.duplicate:,} known, {report.rejected:,} rejected"
            progress.update(task, completed=position, description=text)

        yield show


@contextmanager
def _reject_log(path: Path | None) -> Iterator[Callable[[Rejected], None]]:
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("w", encoding="utf-8") as out:
            yield lambda rejected: _write(path, json.dumps(asdict(rejected)), out)
    except OSError as error:
        raise OutputNotWritable(f"{path}: {error.strerror}", remedy="name a file that can be written") from error


def _write(path: Path, line: str, out: TextIO) -> None:
    try:
        print(line, file=out)
    except OSError as error:
        raise OutputNotWritable(f"{path}: {error.strerror}", remedy="make room, then run it again") from error


def _print(report: SeedReport, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report)))
        return
    for rejected in report.shown:
        print(f"line {rejected.line}: {rejected.reason}: {rejected.text!r}", file=sys.stderr)
    if report.rejected > len(report.shown):
        print(
            f"... and {report.rejected - len(report.shown):,} more (--rejected FILE keeps all)",
            file=sys.stderr,
        )
    if report.unroutable:
        remedy = "crawl-topology apply, then seed again: they are kept and published then"
        print(f"unroutable: {report.unroutable_because}\n  remedy: {remedy}", file=sys.stderr)
    rate = report.lines / report.seconds if report.seconds else 0
    parts = [
        f"{report.admitted:,} {'valid' if dry_run else 'admitted'}",
        f"{report.duplicate:,} duplicate",
    ]
    parts += [f"{report.rejected:,} rejected"]
    parts += [f"{report.over_limit:,} over max_pages"] if report.over_limit else []
    parts += [f"{report.unroutable:,} unroutable"] if report.unroutable else []
    parts += [f"{report.resumed:,} left over from a killed run"] if report.resumed else []
    print(f"{', '.join(parts)}  ({report.lines:,} URLs in {report.seconds:.1f} s, {rate:,.0f}/s)")


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
