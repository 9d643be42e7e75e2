"""One run of ``crawl-doctor --repair``: servers and sources opened for each crawl, its progress, and the report."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crawl_dedup import BatchedRedis, LedgerName, read_progress
from crawl_producer import names, opening
from crawl_producer.admission import Admission, Limits
from crawl_producer.amqp import AmqpBroker, open_stream
from crawl_producer.broker import Broker
from crawl_producer.errors import TopologyMissing
from crawl_producer.readmission import Found
from crawl_producer.repair import Repair, RepairReport
from crawl_producer.repair_sources import from_file, from_journal
from crawl_producer.routing import Router
from crawl_producer.topology import Topology


async def repair(
    topology: Topology, crawls: Sequence[str], files: Sequence[Path], *, dry_run: bool, quiet: bool, program: str
) -> list[RepairReport]:
    """Repair some crawls, one after the other; those that were never begun need nothing.

    Args:
        topology: exchanges.yaml.
        crawls: which.
        files: sources besides the journals.
        dry_run: only count.
        quiet: show no progress.
        program: what the connections are called.

    Raises:
        BrokerUnreachable, LedgerUnavailable, SeedsUnreadable: run it again; what is republished by then is safe.
    """
    reports = []
    async with (
        opening.redis(topology, program) as redis,
        AmqpBroker(topology.connection, name=program) as broker,
    ):
        servers = _Servers(topology, redis, broker, program)
        for crawl in crawls:
            if groups := await _begun(redis, topology, crawl):
                with _bar(quiet=quiet) as on_progress:
                    reports.append(await _one(servers, crawl, groups, files, dry_run=dry_run, on_progress=on_progress))
    return reports


@dataclass(frozen=True, slots=True)
class _Servers:
    topology: Topology
    redis: BatchedRedis
    broker: Broker
    program: str


async def _begun(redis: BatchedRedis, topology: Topology, crawl: str) -> list[str]:
    return [g for g in topology.groups(crawl) if await read_progress(redis, LedgerName(crawl, g)) is not None]


async def _one(
    servers: _Servers,
    crawl: str,
    groups: Sequence[str],
    files: Sequence[Path],
    *,
    dry_run: bool,
    on_progress: Callable[[RepairReport, int | None], None],
) -> RepairReport:
    topology, broker, program = servers.topology, servers.broker, servers.program
    router, consumer = Router(topology.crawls[crawl]), opening.identity(program)
    async with (
        opening.ledgers(servers.redis, topology, crawl, groups, consumer=consumer) as ledgers,
        _sources(topology, crawl, files, router, program) as (total, sources),
    ):
        repair = Repair(
            crawl,
            ledgers,
            broker,
            Admission(ledgers, broker, router),
            limits=Limits.of(topology.crawls[crawl].scope),
            dry_run=dry_run,
            on_progress=lambda report: on_progress(report, total),
        )
        return await repair.run(sources)


@asynccontextmanager
async def _sources(
    topology: Topology, crawl: str, files: Sequence[Path], router: Router, program: str
) -> AsyncIterator[tuple[int | None, list[AsyncIterable[Found]]]]:
    """The journal, if the crawl keeps one and it is there, and the files; with how many messages the journal holds."""
    rules = topology.crawls[crawl].canonical.rules()
    named: list[AsyncIterable[Found]] = [from_file(path, crawl, router, rules) for path in files]
    async with AsyncExitStack() as stack:
        journal = None
        if topology.crawls[crawl].journal is not None:
            try:
                opened = open_stream(topology.connection, names.journal(crawl), name=program)
                journal = await stack.enter_async_context(opened)
            except TopologyMissing:
                Console(stderr=True).print(f"{names.journal(crawl)} is not there; crawl-topology apply makes it")
        if journal is None:
            yield None, named
        else:
            yield journal.expected, [from_journal(journal, crawl, topology), *named]


def helpless(report: RepairReport) -> bool:
    """Whether some URLs could not be helped: no queue takes them, or nothing names those that are open."""
    return bool(report.unroutable) or (report.open > 0 and report.sources == 0)


def as_dict(report: RepairReport, *, dry_run: bool) -> dict[str, object]:
    """For ``--json``."""
    return asdict(report) | {"unnamed": report.unnamed, "dry_run": dry_run}


def told(report: RepairReport, *, dry_run: bool) -> str:
    """The report for people."""
    done = "would be republished" if dry_run else "republished"
    parts = [f"{report.republished:,} {done}", f"{report.held:,} in good hands", f"{report.ended:,} had ended"]
    parts += [f"{report.readmitted:,} that Redis had lost admitted anew"] if report.readmitted else []
    parts += [f"{report.swept:,} outboxes published"] if report.swept else []
    parts += [f"{report.unreadable:,} lines or messages of no URL of this crawl"] if report.unreadable else []
    parts += [f"{report.unroutable:,} taken by no queue: crawl-topology apply, then again"] if report.unroutable else []
    lines = [f"{report.crawl}: {', '.join(parts)}  ({report.looked_at:,} looked at, {report.open:,} open)"]
    if report.open and not report.sources:
        lines.append(
            f"  {report.crawl} keeps no journal, so nobody knows the messages of its {report.open:,} open URLs. Name "
            f"files that have the URLs (--from seeds.txt), and let it keep one from now on: `journal: true` in "
            f"crawls.{report.crawl}, then crawl-topology apply"
        )
    elif report.unnamed:
        lines.append(
            f"  {report.unnamed:,} open URLs are named by no source. They may wait in their queues nevertheless; if "
            "crawl-doctor still misses messages when the crawl rests, name more files with --from"
        )
    return "\n".join(lines)


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[RepairReport, int | None], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("repairing", total=None)

        def show(report: RepairReport, total: int | None) -> None:
            text = f"{report.crawl}: {report.republished:,} republished"
            progress.update(task, description=text, total=total, completed=report.looked_at)

        yield show
