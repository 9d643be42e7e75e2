"""crawl-forget: remove what Redis remembers of a crawl, and, asked to, what waits in its queues."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from crawl_dedup import BatchedRedis, LedgerName, forget, read_progress
from crawl_producer import names, opening
from crawl_producer.amqp import open_admin
from crawl_producer.command import DebugOption, ExitCode, JsonOption, TopologyOption, examples, load_or_exit, run
from crawl_producer.errors import TopologyMissing
from crawl_producer.topology import Topology

PROGRAM = "crawl-forget"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-forget docs",
        "crawl-forget docs --purge-queues --yes --json",
    )
)
def forget_crawl(
    crawl: Annotated[str, typer.Argument(help="The crawl to forget.", show_default=False)],
    *,
    purge_queues: Annotated[
        bool, typer.Option("--purge-queues", help="Drop the messages in its queues too.", show_default=False)
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Forget a crawl: what was seen, what is done, what is owed. Stop its consumers first.

    Queues keep their messages unless --purge-queues is given; URLs found there later are crawled anew.
    Dead letters are kept either way, and so is a journal: RabbitMQ cannot purge streams, and crawl-doctor --repair
    leaves alone what was admitted before.
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        opening.crawl_spec(loaded.topology, crawl)
        ledgers = [LedgerName(crawl, group) for group in loaded.topology.groups(crawl)]
        async with opening.redis(loaded.topology, PROGRAM) as redis:
            if not yes and not typer.confirm(await _question(redis, ledgers, purge=purge_queues), err=True):
                print("nothing was changed")
                return ExitCode.USAGE
            purged = await _purge(loaded.topology, crawl) if purge_queues else {}
            keys = sum([await _forget(redis, name) for name in ledgers])
        if as_json:
            print(json.dumps({"crawl": crawl, "redis_keys": keys, "purged": purged}))
        else:
            print(f"forgot {crawl}: {keys:,} Redis keys, {sum(purged.values()):,} messages purged")
        return ExitCode.DONE

    run(PROGRAM, main, debug=debug)


async def _question(redis: BatchedRedis, ledgers: Sequence[LedgerName], *, purge: bool) -> str:
    books = [await read_progress(redis, name) for name in ledgers]
    admitted = sum(book.admitted for book in books if book)
    still_open = sum(book.open for book in books if book)
    queues = " and purge its queues" if purge else ""
    return f"Forget {ledgers[0].crawl} ({admitted:,} URLs, {still_open:,} of them not done){queues}?"


async def _purge(topology: Topology, crawl: str) -> dict[str, int]:
    """Queues first: a killed command can then be run again, while the ledger still knows the crawl."""
    purged = {}
    async with open_admin(topology.connection) as admin:
        for queue, spec in topology.queues.items():
            for name in (queue, names.due_queue(queue)) if spec.crawl == crawl else ():
                try:
                    purged[name] = await admin.purge(name)
                except TopologyMissing:
                    continue
    return purged


async def _forget(redis: BatchedRedis, name: LedgerName) -> int:
    console = Console(stderr=True)
    with console.status(f"forgetting {name}") as line:
        return await forget(redis, name, on_deleted=lambda n: line.update(f"forgetting {name}: {n:,} keys"))


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
