"""Markdown tables, and their places in a document: between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

#: Where the results are told.
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The first column is text, the others are figures and stand to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def placed(document: str, name: str, text: str) -> str:
    """The document with ``text`` as the part of this name.

    Raises:
        ValueError: it has no such part, or several.
    """
    part = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    changed, times = part.subn(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", document)
    if times != 1:
        raise ValueError(f"the document has {times} parts called {name}")
    return changed


def place(name: str, text: str) -> None:
    """Write a part of the page on benchmarks."""
    DOCUMENT.write_text(placed(DOCUMENT.read_text(), name, text))
