"""crawl-new: a project to begin with."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from crawl_consumer.workbench.looking import url_of
from crawl_consumer.workbench.starter import spider_name, write_project
from crawl_producer.command import DebugOption, checked, examples, reporting

PROGRAM = "crawl-new"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the crawl, and of the folder.")]
StartOption = Annotated[
    str, typer.Option(metavar="URL", help="A page to begin with, for its examples.", parser=checked(url_of))
]


@app.command(
    epilog=examples(
        "crawl-new shop",
        "crawl-new shop --url https://shop.example.org/",
    )
)
def new(name: NameArgument, *, url: StartOption = "https://example.org/", debug: DebugOption = False) -> None:
    """Write a project to begin with into a new folder: a spider, exchanges.yaml, a test that passes, a README.

    Nothing that is there is overwritten.

    Exit codes: 0 done, 2 the name or the folder will not do (all: docs/commands.md).
    """
    with reporting(PROGRAM, debug=debug):
        for path in write_project(name, Path(name), url):
            print(path)
        print(f"\ncd {name}\ncrawl-try {shlex.quote(url)} --spider spiders:{spider_name(name)} --max-pages 20")


def main() -> None:
    """The entry point."""
    app(prog_name=PROGRAM)
