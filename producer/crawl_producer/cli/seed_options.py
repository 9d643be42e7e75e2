"""The options of crawl-seed that say what becomes of its URLs."""

from pathlib import Path
from typing import Annotated

import typer

from crawl_producer import durations
from crawl_producer.command import checked

CrawlOption = Annotated[
    str | None,
    typer.Option("--crawl", "-c", help="The crawl, if there is more than one.", show_default=False),
]
ExchangeOption = Annotated[
    str | None,
    typer.Option("--exchange", help="Publish to this exchange, not the crawl's own.", show_default=False),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="Publish with this routing key, whatever the routes say.", show_default=False),
]
DepthOption = Annotated[
    int,
    typer.Option(
        "--depth", min=0, max=1_000_000, help="Count the URLs as this many links from a seed (see scope.max_depth)."
    ),
]
DelayOption = Annotated[
    float | None,
    typer.Option(
        "--delay",
        metavar="SPAN",
        help="Fetch no earlier than in 90s, 10m, 1h30m, 3d.",
        parser=checked(durations.seconds),
        show_default=False,
    ),
]
EtaOption = Annotated[
    int | None,
    typer.Option(
        "--eta",
        metavar="MOMENT",
        help="Fetch no earlier than 2026-12-01T08:00Z.",
        parser=checked(durations.moment_ms),
        show_default=False,
    ),
]
ExpiresOption = Annotated[
    float | None,
    typer.Option(
        "--expires",
        metavar="SPAN",
        help="Do not fetch what is not fetched within this time from now.",
        parser=checked(durations.seconds),
        show_default=False,
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check the URLs; publish nothing.", show_default=False)]
RejectedOption = Annotated[
    Path | None,
    typer.Option("--rejected", help="Write every rejected line to this file, as JSON lines.", show_default=False),
]
