"""crawl-doctor: what is wrong, what mends it, and, asked to, publishing again what RabbitMQ has lost."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from crawl_producer import opening, repairing
from crawl_producer.command import (
    DebugOption,
    ExitCode,
    JsonOption,
    TopologyOption,
    examples,
    load_or_exit,
    redact,
    run,
)
from crawl_producer.doctor.examination import PROGRAM, Examination
from crawl_producer.doctor.finding import Finding, Level, worst
from crawl_producer.topology import Topology

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
_CODES = {Level.OK: ExitCode.DONE, Level.WARNING: ExitCode.WARNINGS, Level.ERROR: ExitCode.ERRORS}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    epilog=examples(
        "crawl-doctor",
        "crawl-doctor docs --deep",
        "crawl-doctor --json | jq '.findings[] | select(.level == \"error\")'",
        "crawl-doctor docs --repair --dry-run",
        "crawl-doctor docs --repair --from seeds.txt --from pages.jsonl",
    )
)
def examine(
    crawls: Annotated[list[str] | None, typer.Argument(help="Crawls; all by default.", show_default=False)] = None,
    *,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Look at every member and dead letter: slow for huge crawls.", show_default=False),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Publish again what is open and may have no message.", show_default=False)
    ] = False,
    from_files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE", show_default=False,
            help="With --repair: URLs from seeds or JSON lines too; - is standard input; repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --repair: only count.", show_default=False)
    ] = False,
    as_json: JsonOption = False,
    topology: TopologyOption = None,
    debug: DebugOption = False,
) -> None:  # fmt: skip
    """Look at ledgers, queues, RabbitMQ, Redis and exchanges.yaml, and say what is wrong. Changes nothing.

    With --repair it changes something: open URLs that no living consumer holds get a message again, from their crawl's
    journal and the files that you name. That may be done at any time, and twice.

    Exit codes: 0 all is well, 16 warnings, 17 errors; with --repair 0, or 10 when some URLs could not be helped.
    """
    if not repair and (from_files or dry_run):
        raise typer.BadParameter("--from and --dry-run are for --repair")
    loaded = load_or_exit(PROGRAM, topology, debug=debug)

    async def main() -> int:
        chosen = [opening.only_crawl(loaded.topology, crawl) for crawl in crawls or loaded.topology.crawls]
        if Path("-") in (from_files or ()) and len(chosen) > 1:
            raise typer.BadParameter("standard input can be read once: name one crawl")
        if repair:
            return await _repair(loaded.topology, chosen, from_files or (), dry_run=dry_run, as_json=as_json)
        findings = await Examination(loaded.topology, chosen, deep=deep).run()
        _print(findings, as_json=as_json)
        return _CODES[worst(findings)]

    run(PROGRAM, main, debug=debug)


async def _repair(
    topology: Topology, crawls: Sequence[str], files: Sequence[Path], *, dry_run: bool, as_json: bool
) -> int:
    reports = await repairing.repair(topology, crawls, files, dry_run=dry_run, quiet=as_json, program=PROGRAM)
    if as_json:
        print(json.dumps([repairing.as_dict(report, dry_run=dry_run) for report in reports]))
    else:
        for report in reports:
            print(repairing.told(report, dry_run=dry_run))
        if not reports:
            print("nothing was ever admitted, so there is nothing to repair")
    return ExitCode.SOME_REJECTED if any(map(repairing.helpless, reports)) else ExitCode.DONE


def _print(found: Sequence[Finding], *, as_json: bool) -> None:
    # Findings name connections, which other users of a shared broker call what they like.
    findings = [replace(finding, text=redact(finding.text), remedy=redact(finding.remedy)) for finding in found]
    if as_json:
        print(json.dumps({"level": worst(findings).value, "findings": [finding.as_dict() for finding in findings]}))
        return
    console = Console(highlight=False)
    for finding in findings:
        line = Text.assemble(
            (f"{finding.level.value:<8}", _STYLES[finding.level]), f"{finding.subject}: {finding.text}"
        )
        console.print(line, soft_wrap=True)
        for word, text in (("remedy", finding.remedy), ("try", finding.command)):
            if text:
                console.print(Text(f"          {word}: {text}"), soft_wrap=True)


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
