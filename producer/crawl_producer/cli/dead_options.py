"""The options that crawl-dead's commands share: which letters, how many, and whether to ask."""

from typing import Annotated

import typer

from crawl_producer import durations
from crawl_producer.command import checked

QueueOption = Annotated[
    str | None,
    typer.Option("--queue", "-q", metavar="PATTERN", help="Of these queues: * is one word, # any number."),
]
CrawlOption = Annotated[str | None, typer.Option("--crawl", "-c", metavar="NAME", help="Of this crawl.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="GLOB", help="Died of this: timeout, 'http_5*', delivery_limit.")
]
HostOption = Annotated[str | None, typer.Option("--host", metavar="GLOB", help="Of this host: '*.example.org'.")]
OlderOption = Annotated[
    float | None,
    typer.Option("--older-than", metavar="SPAN", help="Died longer ago: 2h, 3d.", parser=checked(durations.seconds)),
]
NewerOption = Annotated[
    float | None,
    typer.Option("--newer-than", metavar="SPAN", help="Died since then.", parser=checked(durations.seconds)),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many letters.")]
TopOption = Annotated[int, typer.Option("--top", min=1, help="So many hosts.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
