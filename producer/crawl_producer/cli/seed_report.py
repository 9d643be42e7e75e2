"""What crawl-seed says: while it works, of each rejected line, and at its end."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from crawl_dedup import shown
from crawl_producer.errors import OutputNotWritable
from crawl_producer.seeding import SeedReport
from crawl_producer.seeds import Rejected


@contextmanager
def bar(file: Path | None, *, quiet: bool) -> Iterator[Callable[[int, SeedReport], None]]:
    """Progress on a terminal, of the bytes of a file where its size is known."""
    console = Console(stderr=True)
    size = file.stat().st_size if file is not None and file.is_file() else None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("seeding", total=size)
        yield lambda position, report: progress.update(task, completed=position, description=_counts(report))


@contextmanager
def ticker(what: Callable[[], str], *, quiet: bool) -> Iterator[Callable[[SeedReport], None]]:
    """Progress on a terminal where nobody knows how much is to come; ``what`` says how far it is."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("seeding", total=None)
        yield lambda report: progress.update(task, description=f"{what()}{_counts(report)}")


@contextmanager
def reject_log(path: Path | None) -> Iterator[Callable[[Rejected], None]]:
    """Writes each rejected line to ``path``, as JSON. Raises OutputNotWritable."""
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("w", encoding="utf-8") as out:
            yield lambda rejected: _write(path, json.dumps(asdict(rejected)), out)
    except OSError as error:
        raise OutputNotWritable(f"{path}: {error.strerror}", remedy="name a file that can be written") from error


def show(report: SeedReport, *, as_json: bool, dry_run: bool) -> None:
    """Print what became of all lines."""
    if as_json:
        print(json.dumps(asdict(replace(report, shown=[_told(rejected) for rejected in report.shown]))))
        return
    for rejected in map(_told, report.shown):
        print(f"{_where(rejected)}: {rejected.reason}: {rejected.text!r}", file=sys.stderr)
    if report.rejected > len(report.shown):
        print(f"... and {report.rejected - len(report.shown):,} more (--rejected FILE keeps all)", file=sys.stderr)
    if report.unroutable:
        remedy = "crawl-topology apply, then seed again: they are kept and published then"
        print(f"unroutable: {report.unroutable_because}\n  remedy: {remedy}", file=sys.stderr)
    if report.outside.get("host"):
        remedy = "scope.hosts or scope.subdomains in exchanges.yaml, or --any-host"
        print(f"{report.outside['host']:,} pages are on other hosts\n  to have them: {remedy}", file=sys.stderr)
    rate = report.lines / report.seconds if report.seconds else 0
    print(f"{', '.join(_parts(report, dry_run))}  ({report.lines:,} URLs in {report.seconds:.1f} s, {rate:,.0f}/s)")


def _told(rejected: Rejected) -> Rejected:
    """The line as it may be printed; ``--rejected FILE`` has it as it was."""
    return replace(rejected, text=shown(rejected.text), source=shown(rejected.source))


def _parts(report: SeedReport, dry_run: bool) -> Iterator[str]:
    yield f"{report.admitted:,} {'valid' if dry_run else 'admitted'}"
    yield f"{report.duplicate:,} duplicate"
    yield f"{report.rejected:,} rejected"
    if report.over_limit:
        yield f"{report.over_limit:,} over max_pages"
    if report.over_host_limit:
        yield f"{report.over_host_limit:,} over max_pages_per_host"
    if report.unroutable:
        yield f"{report.unroutable:,} unroutable"
    if report.resumed:
        yield f"{report.resumed:,} left over from a killed run"
    if report.older:
        yield f"{report.older:,} older"
    if report.outside:
        yield f"{sum(report.outside.values()):,} outside the scope ({', '.join(report.outside)})"
    if report.lists:
        yield f"{report.lists:,} list{'s' if report.lists > 1 else ''} read"


def _where(rejected: Rejected) -> str:
    if not rejected.source:
        return f"line {rejected.line}" if rejected.line else "asked for"
    return f"{rejected.source}, entry {rejected.line}" if rejected.line else rejected.source


def _counts(report: SeedReport) -> str:
    return f"{report.admitted:,} admitted, {report.duplicate:,} known, {report.rejected:,} rejected"


def _write(path: Path, line: str, out: TextIO) -> None:
    try:
        print(line, file=out)
    except OSError as error:
        raise OutputNotWritable(f"{path}: {error.strerror}", remedy="make room, then run it again") from error
