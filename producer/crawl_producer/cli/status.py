"""crawl-status: how far a crawl is, and when it is complete."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from crawl_dedup import BatchedRedis, read_progress
from crawl_producer import names, opening, status
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Broker
from crawl_producer.command import DebugOption, ExitCode, JsonOption, TopologyOption, examples, load_or_exit, run
from crawl_producer.errors import CrawlTimeout, NotSeeded
from crawl_producer.management import queue_counts
from crawl_producer.rate import Rate
from crawl_producer.status import GroupStatus, InboxStatus
from crawl_producer.topology import Topology

PROGRAM = "crawl-status"

#: --watch and --wait look this often; a look is a few small reads.
LOOK_S = 1.0

#: A group's status, and its done URLs a second.
Shown = tuple[GroupStatus, float]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-status",
        "crawl-status docs --watch",
        "crawl-status docs --wait && echo complete",
        "crawl-status docs --json | jq '.[0].outcomes'",
    )
)
def show(
    crawls: Annotated[list[str] | None, typer.Argument(help="Crawls; all by default.", show_default=False)] = None,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when the crawls are really complete.", show_default=False)
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second.", show_default=False)] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0, help="Seconds to --wait; then exit 14.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Show a crawl's books and queues. A crawl is complete exactly when all that was admitted has ended.

    Exit codes: 0 shown or complete, 14 not complete in time, 15 nothing was ever seeded (with --wait).
    """
    if timeout is not None and not wait:
        raise typer.BadParameter("--timeout is for --wait")
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        names = [opening.only_crawl(loaded.topology, crawl) for crawl in crawls or loaded.topology.crawls]
        async with _reader(loaded.topology, names) as read:
            console = Console()
            if not (wait or watch):
                _print(console, await read.with_rate(), as_json=as_json)
                return ExitCode.DONE
            following = {"wait": wait, "watch": watch and not as_json, "watch_json": watch and as_json}
            last = await _follow(read, console, timeout_s=timeout, **following)
            if not watch:
                _print(console, last, as_json=as_json)
        return ExitCode.DONE

    run(PROGRAM, main, debug=debug)


class _Reader:
    """Reads the status of the same crawls again and again, with their rate."""

    def __init__(self, topology: Topology, crawls: Sequence[str], broker: Broker, redis: BatchedRedis) -> None:
        self._topology = topology
        self._crawls = crawls
        self._broker = broker
        self._progress = partial(read_progress, redis)
        self._rates: dict[tuple[str, str], Rate] = defaultdict(Rate)

    async def __call__(self) -> list[Shown]:
        counts = await queue_counts(self._topology.connection)
        groups = [
            group
            for crawl in self._crawls
            for group in await status.read(self._topology, crawl, self._broker, self._progress, counts)
        ]
        return [(group, self._rates[group.crawl, group.group].add(time.monotonic(), group.done)) for group in groups]

    async def with_rate(self) -> list[Shown]:
        """One reading; where something runs, two, because a rate needs both."""
        first = await self()
        if all(group.state != "running" for group, _ in first):
            return first
        await asyncio.sleep(LOOK_S)
        return await self()


@asynccontextmanager
async def _reader(topology: Topology, crawls: Sequence[str]) -> AsyncIterator[_Reader]:
    async with (
        opening.redis(topology, PROGRAM) as redis,
        AmqpBroker(topology.connection, name=PROGRAM) as broker,
    ):
        yield _Reader(topology, crawls, broker, redis)


async def _follow(
    read: _Reader, console: Console, *, wait: bool, watch: bool, watch_json: bool, timeout_s: float | None
) -> list[Shown]:
    """Look until complete (``wait``) or interrupted; returns the last look."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with Live(console=console, auto_refresh=False) if watch else nullcontext() as live:
        while True:
            shown = await read()
            if live is not None:
                live.update(_tables(shown), refresh=True)
            if watch_json:
                _print(console, shown, as_json=True)
            if wait and all(group.complete for group, _ in shown):
                return shown
            if wait and (never := [group for group, _ in shown if group.admitted == 0]):
                raise NotSeeded(
                    f"nothing was ever admitted to {never[0].crawl}",
                    remedy=f"crawl-seed --crawl {never[0].crawl} URL",
                )
            if deadline is not None and time.monotonic() > deadline:
                raise CrawlTimeout(f"not complete after {timeout_s:.0f} s", remedy="wait longer, or see crawl-status")
            await asyncio.sleep(LOOK_S)


def _print(console: Console, shown: Sequence[Shown], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([group.as_dict() | {"pages_per_s": round(rate, 2)} for group, rate in shown]))
    else:
        console.print(_tables(shown), soft_wrap=not console.is_terminal)


def _tables(shown: Sequence[Shown]) -> Group:
    return Group(*(part for group, rate in shown for part in _parts(group, rate)))


def _parts(group: GroupStatus, rate: float) -> Iterator[RenderableType]:
    title = f"{group.crawl}" + ("" if group.group == "main" else f" ({group.group})")
    yield Text(f"{title}: {group.state}", style="bold")
    if group.admitted:
        yield Text(
            f"  {group.admitted:,} admitted, {group.done:,} done, {_known(group.in_flight)} in flight, "
            f"{group.waiting:,} waiting, {_known(group.parked)} parked, {group.dead:,} dead, "
            f"{_owed(group)}{rate:,.1f} pages/s"
        )
        yield Text("  outcomes: " + (_counted(group.outcomes) or "none yet"))
        yield Text("  links:    " + _counted(group.counts))
    for inbox in group.inboxes:
        yield Text(f"  inbox {inbox.name}: {_inbox(inbox)}")
    yield _queues(group)


def _inbox(inbox: InboxStatus) -> str:
    served = f"{inbox.served_by} crawl-seed" if inbox.served_by else "nobody"
    return f"{inbox.ready:,} waiting, {_known(inbox.unacked)} unacked, {inbox.dead:,} dead, served by {served}"


def _owed(group: GroupStatus) -> str:
    """Outboxes come and go within milliseconds; those that a look finds are worth a word."""
    return f"{group.outboxes:,} outboxes, " if group.outboxes else ""


def _queues(group: GroupStatus) -> Table:
    table = Table(
        "queue",
        Column("ready", justify="right"),
        Column("unacked", justify="right"),
        box=None,
        pad_edge=False,
    )
    for queue in group.queues:
        if queue.ready or queue.unacked or queue.name == names.work_queue(queue.name):
            table.add_row("  " + queue.name, f"{queue.ready:,}", _known(queue.unacked))
    return table


def _known(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
