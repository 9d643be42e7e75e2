"""crawl-consumer: take URLs from queues, fetch them, keep items, publish links."""

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict

import typer
from rich.console import Console

from crawl_consumer import progress
from crawl_consumer.cli.consumer_options import (
    CacheOption,
    ConcurrencyOption,
    HostsOption,
    OutputOption,
    ProcessesOption,
    QueueOption,
    QuietOption,
    RotateOption,
    ShutdownOption,
    SpiderOption,
    SupervisedOption,
    UntilDoneOption,
    VersionOption,
)
from crawl_consumer.intake import matching_queues
from crawl_consumer.opening import PROGRAM, ledger_names, opened
from crawl_consumer.resolver import read_hosts
from crawl_consumer.settings import DEFAULT_CONCURRENCY, DEFAULT_SHUTDOWN_S, ConsumerSettings
from crawl_consumer.sinks.by_queue import outputs_of
from crawl_consumer.supervisor import Supervisor, child_command, supervisor_gone
from crawl_consumer.tally import Tally
from crawl_consumer.worker import Worker
from crawl_dedup import BatchedRedis, LedgerName, Progress, read_progress
from crawl_producer import heap, opening
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
from crawl_producer.rotation import read_rotation
from crawl_producer.topology import Topology

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-consumer --queue 'news.*'",
        "crawl-consumer --queue 'news.*' --output news/",
        "crawl-consumer --queue docs.pages --processes 2 --until-done --output pages.jsonl",
        "crawl-consumer --queue 'news.#' --queue docs.pages --concurrency 64",
        "crawl-consumer --queue docs.pages --spider my_spiders:Titles --output - | jq .title",
    )
)
def consume(
    queue: QueueOption,
    *,
    concurrency: ConcurrencyOption = DEFAULT_CONCURRENCY,
    processes: ProcessesOption = 1,
    spider: SpiderOption = None,
    output: OutputOption = [],  # noqa: B006 - typer makes a list of its own
    rotate: RotateOption = None,
    until_done: UntilDoneOption = False,
    shutdown: ShutdownOption = DEFAULT_SHUTDOWN_S,
    hosts: HostsOption = None,
    cache: CacheOption = None,
    quiet: QuietOption = False,
    supervised: SupervisedOption = False,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,  # noqa: ARG001 - its callback has done it
) -> None:
    """Take URLs from queues, fetch them, keep items and publish links.

    A message is acknowledged when its links are confirmed and its items are on disk, so a consumer may be
    killed at any time. The first SIGTERM or Ctrl-C finishes what is in flight, the second leaves at once.

    Exit codes: 0 done or stopped, 4 and 5 RabbitMQ, 6 and 7 Redis, 9 no such queue, 12 output, 13 spider.
    """
    log_level = logging.WARNING if quiet or supervised else logging.INFO
    loaded = load_or_exit(PROGRAM, topology, debug=debug, log_level=log_level)

    async def main() -> int:
        settings = ConsumerSettings(
            queues=matching_queues(queue, tuple(loaded.topology.queues)),
            concurrency=concurrency,
            spider=spider,
            file=loaded.path,
            outputs=tuple(output),
            rotation=checked(read_rotation)(rotate) if rotate else None,
            until_done=until_done,
            shutdown_s=shutdown,
            hosts=read_hosts(hosts) if hosts else {},
            cache=cache,
            secrets=loaded.secrets,
        )
        printed = any("-" in outputs_of(name, settings, loaded.topology) for name in settings.queues)
        if processes > 1 and printed:
            raise typer.BadParameter("several processes cannot share standard output: name a .jsonl file or a folder")
        if processes > 1:
            return await _supervise(settings, loaded.topology, processes, quiet=quiet)
        tally = await _work(settings, loaded.topology, quiet=quiet or supervised, supervised=supervised)
        if as_json:
            print(json.dumps(asdict(tally)), file=sys.stderr if printed else sys.stdout)
        return ExitCode.DONE

    run(PROGRAM, main, debug=debug, log_level=log_level)


async def _work(settings: ConsumerSettings, topology: Topology, *, quiet: bool, supervised: bool) -> Tally:
    async with opened(settings, topology) as worker, AsyncExitStack() as stack:
        if supervised:
            _background(stack, _stop_when_orphaned(worker))
        if not quiet:
            hosts = lambda: worker.tally.distinct_hosts_in_window  # noqa: E731
            _background(stack, progress.show(worker.books, console=Console(stderr=True), hosts=hosts))
        heap.prepare()
        await worker.run()
        return worker.tally


async def _supervise(settings: ConsumerSettings, topology: Topology, processes: int, *, quiet: bool) -> int:
    supervisor = Supervisor(child_command(_without_processes(sys.argv[1:])), processes)
    async with AsyncExitStack() as stack:
        if not quiet:
            redis = await stack.enter_async_context(opening.redis(topology, PROGRAM))
            names = ledger_names(settings, topology)
            _background(stack, progress.show(lambda: _books(redis, names), console=Console(stderr=True)))
        return await supervisor.run()


async def _stop_when_orphaned(worker: Worker) -> None:
    await supervisor_gone()
    worker.stop()


async def _books(redis: BatchedRedis, names: Sequence[LedgerName]) -> list[tuple[LedgerName, Progress]]:
    empty = Progress(admitted=0, open=0, outboxes=0, counts={})
    return [(name, await read_progress(redis, name) or empty) for name in names]


def _background(stack: AsyncExitStack, work: Coroutine[object, object, None]) -> None:
    """Run ``work`` until the stack is closed."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _without_processes(arguments: Sequence[str]) -> list[str]:
    """A child's arguments: all of ours but --processes."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--processes":
            next(words, None)
        elif not word.startswith("--processes="):
            kept.append(word)
    return kept


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
