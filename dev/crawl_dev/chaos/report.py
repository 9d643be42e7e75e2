"""The table of a chaos run, a line of progress while it lasts, and the same as JSON."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

from crawl_dev.chaos.recipe import Recipe
from crawl_dev.chaos.run import Round

#: Between two lines of progress where there is no terminal to redraw one.
_SELDOM_S = 10.0
_HEAD = (
    "fault",
    "injected",
    "rounds",
    "URLs",
    "lost",
    "again: explained",
    "unexplained",
    "recovery s",
    "to end s",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: sums over a fault's rounds."""

    fault: str
    injected: int
    rounds: int
    urls: int
    lost: int
    explained: int
    unexplained: int
    recovery_s: float
    to_end_s: float
    seed: int
    seconds: float
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no oracle complains, and something was injected."""
        return not self.complaints


def row(recipe: Recipe, rounds: Sequence[Round]) -> Row:
    """The rounds of one fault, summed up; a fault that was injected too seldom is a complaint of its own."""
    injected = sum(one.injected for one in rounds)
    complaints = [f"seed {one.seed}: {complaint}" for one in rounds for complaint in one.verdict.complaints]
    if injected < recipe.times and not complaints:
        complaints.append(f"only {injected} of {recipe.times} faults could be injected")
    return Row(
        fault=recipe.name,
        injected=injected,
        rounds=len(rounds),
        urls=sum(one.verdict.urls for one in rounds),
        lost=sum(one.verdict.lost for one in rounds),
        explained=sum(one.verdict.explained for one in rounds),
        unexplained=sum(one.verdict.unexplained for one in rounds),
        recovery_s=round(max(one.recovery_s for one in rounds), 1),
        to_end_s=round(max(one.to_end_s for one in rounds), 1),
        seed=(rounds[-1] if complaints else rounds[0]).seed,
        seconds=round(sum(one.seconds for one in rounds), 1),
        complaints=tuple(complaints),
    )


def table(rows: Sequence[Row]) -> str:
    """All rows, aligned, and below them every complaint with what repeats it."""
    cells = [_HEAD, *(_cells(one) for one in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(starmap(str.rjust, zip(line, widths, strict=True))) for line in cells]
    for one in rows:
        lines += [f"{one.fault}: {complaint}" for complaint in one.complaints]
        if one.complaints:
            lines.append(f"{one.fault}: repeat with --fault {one.fault} --seed {one.seed}")
    return "\n".join(lines)


def _cells(one: Row) -> tuple[str, ...]:
    numbers = (one.injected, one.rounds, one.urls, one.lost, one.explained, one.unexplained)
    return (one.fault, *(f"{n:,}" for n in numbers), f"{one.recovery_s:.1f}", f"{one.to_end_s:.1f}", str(one.seed))


class Progress:
    """One line on stderr: redrawn on a terminal, written now and then elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._next_s = 0.0

    def __call__(self, line: str) -> None:
        """Show a new line."""
        if self._live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() > self._next_s:
            self._next_s = time.monotonic() + _SELDOM_S
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Make room for other output."""
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
