"""crawl-items: the items of a reader's queue or stream, as JSON lines on standard output."""

import json
import sys
from collections.abc import Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import typer

from crawl_producer import durations
from crawl_producer.amqp import AmqpBroker, Copy, Place, open_stream
from crawl_producer.command import DebugOption, ExitCode, TopologyOption, checked, examples, load_or_exit, run
from crawl_producer.errors import UnknownName
from crawl_producer.items import take
from crawl_producer.topology import Topology
from crawl_producer.topology_items import ItemQueueSpec

PROGRAM = "crawl-items"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _place(text: str) -> Place:
    """Raises ValueError."""
    if text in {"first", "last", "next"}:
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return datetime.fromtimestamp(durations.moment_ms(text) / 1000, UTC)
    except ValueError as error:
        raise ValueError(f"{error}; or first, last, next, or an offset") from None


QueueArgument = Annotated[str, typer.Argument(help="A queue of the items section of exchanges.yaml.")]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHERE",
        help="Of a stream: first (the default), last (its newest chunk), next (only what comes now), an offset, or a"
        " moment as 2026-12-01T08:00Z.",
        show_default=False,
    ),
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Wait for more at the end.", show_default=False)]
LimitOption = Annotated[int | None, typer.Option(min=1, help="At most so many items.", show_default=False)]
OffsetsOption = Annotated[
    bool, typer.Option("--offsets", help="Of a stream: add each item's place as _offset.", show_default=False)
]


@app.command(
    epilog=examples(
        "crawl-items news.items.archive --from 2026-12-01T08:00Z > items.jsonl",
        "crawl-items news.items.archive --from 120000 --offsets | tail -n 1 | jq ._offset",
        "crawl-items news.items.search --follow | ./index",
    )
)
def items(
    queue: QueueArgument,
    *,
    start: FromOption = None,
    follow: FollowOption = False,
    limit: LimitOption = None,
    offsets: OffsetsOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:
    """Print a queue's items, one JSON object a line.

    From a queue each item is taken away, when its line was written. From a stream nothing is taken away.

    Exit codes: 0 done, 4 and 5 RabbitMQ, 9 no such queue, 11 not applied, 141 whoever read the lines has gone.
    """
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        spec = _spec(loaded.topology, queue)
        if spec.type == "stream":
            first = checked(_place)(start or "first")
            await _read(loaded.topology, queue, first, follow=follow, limit=limit, offsets=offsets)
        elif start is not None or offsets:
            raise typer.BadParameter(f"{queue} is no stream: --from and --offsets are for streams")
        else:
            async with AmqpBroker(loaded.topology.connection, name=PROGRAM) as broker:
                await take(broker, queue, _print, limit=limit, follow=follow)
        return ExitCode.DONE

    run(PROGRAM, main, debug=debug)


def _spec(topology: Topology, queue: str) -> ItemQueueSpec:
    known = {name: spec for items in topology.items.values() for name, spec in items.queues.items()}
    if queue not in known:
        named = f"exchanges.yaml has {', '.join(known)}" if known else "exchanges.yaml has no items section yet"
        raise UnknownName(f"no queue of items is called {queue!r}", remedy=named)
    return known[queue]


async def _read(
    topology: Topology, queue: str, first: Place, *, follow: bool, limit: int | None, offsets: bool
) -> None:
    read = 0
    async with (
        open_stream(topology.connection, queue, name=PROGRAM, first=first, follow=follow) as reader,
        aclosing(aiter(reader)) as copies,
    ):
        async for copy in copies:
            if isinstance(first, int) and copy.offset < first:
                continue
            _print([_with_offset(copy) if offsets else copy.body])
            read += 1
            if read == limit:
                return


def _with_offset(copy: Copy) -> bytes:
    try:
        item = json.loads(copy.body)
    except ValueError:
        item = None
    if not isinstance(item, dict):  # somebody else's: a crawl's items are objects
        item = {"_body": copy.body.decode("utf-8", "replace")}
    return json.dumps({**item, "_offset": copy.offset}, ensure_ascii=False).encode()


def _print(bodies: Iterable[bytes]) -> None:
    """Whole lines, and out of our hands when it returns."""
    sys.stdout.buffer.write(b"".join([body.replace(b"\n", b" ") + b"\n" for body in bodies]))
    sys.stdout.buffer.flush()


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
