"""The options of crawl-consumer."""

from pathlib import Path
from typing import Annotated

import typer

from crawl_consumer.versions import versions


def _show_versions(asked: bool) -> None:
    if asked:
        for name, version in versions().items():
            print(name, version)
        raise typer.Exit


QueueOption = Annotated[
    list[str],
    typer.Option(
        "--queue",
        "-q",
        metavar="PATTERN",
        help="Queues to serve: * is one word, # any number. Repeatable.",
    ),
]
ConcurrencyOption = Annotated[int, typer.Option(min=1, max=1000, help="URLs worked on at once, in each process.")]
ProcessesOption = Annotated[int, typer.Option(min=1, max=256, help="Processes; a dead one is started again.")]
SpiderOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="Your spider, or the name of an installed one. Default: those of exchanges.yaml, or one record a page.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    list[str],
    typer.Option(
        "--output",
        "-o",
        metavar="WHERE",
        help="Where items go: a .jsonl or .csv file (.gz, .zst), a folder, -, sqlite:///items.db and other databases,"
        " exchange:NAME, redis:KEY; pages.warc.gz for the pages themselves. Repeatable.",
        show_default=False,
    ),
]
RotateOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE|TIME",
        help="Begin a new .csv, .gz, .zst or .warc file when one is this large or old: 100MB, 1h.",
        show_default=False,
    ),
]
UntilDoneOption = Annotated[
    bool, typer.Option("--until-done", help="Stop when the crawls are complete.", show_default=False)
]
ShutdownOption = Annotated[float, typer.Option(min=0, help="Seconds that work in flight may take after a signal.")]
HostsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Addresses of names, as in /etc/hosts, that DNS is not asked for: for a staging site, or a test.",
        show_default=False,
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="For development: keep responses here, and read them back instead of asking again.",
        show_default=False,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.", show_default=False)]
SupervisedOption = Annotated[bool, typer.Option("--supervised", hidden=True)]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version",
        is_eager=True,
        callback=_show_versions,
        help="Print our version, and those of the libraries that read what strangers write.",
        show_default=False,
    ),
]
