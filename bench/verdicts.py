"""What the figures of several rounds say: medians and spreads, ratios against targets, and whether a run counts.

Figures are ``{"pages_per_s": …, "cpu_ms": …}`` of one run; rounds are ``{number: figures}``. A ratio is taken within a
round, where both sides had the same machine in the same minutes, and the median is that of the rounds' ratios.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Self, TypeAlias

Figures: TypeAlias = Mapping[str, float]
Rounds: TypeAlias = Mapping[int, Figures]


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Collection[float]) -> Self:
        return cls(median(values), min(values), max(values))

    def text(self, form: str) -> str:
        """The median and, in brackets, the range; ``form`` is a format specification."""
        return f"{self.median:{form}} ({self.least:{form}} … {self.most:{form}})"


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio that is wanted.

    Attributes:
        ours, theirs: contenders.
        figure: ``pages_per_s``, of which more is better, or ``cpu_ms``, of which less is.
        bound: what ours divided by theirs must reach, or stay below.
    """

    ours: str
    theirs: str
    figure: str
    bound: float

    @property
    def at_most(self) -> bool:
        return self.figure == "cpu_ms"

    def ratio(self, results: Mapping[str, Rounds]) -> Spread | None:
        """Ours divided by theirs; None when there is no round in which both runs count."""
        ours, theirs = results.get(self.ours, {}), results.get(self.theirs, {})
        both = sorted(ours.keys() & theirs.keys())
        return Spread.of([ours[n][self.figure] / theirs[n][self.figure] for n in both]) if both else None

    def verdict(self, ratio: Spread | None) -> str:
        if ratio is None:
            return "not measured"
        met = ratio.median <= self.bound if self.at_most else ratio.median >= self.bound
        return "met" if met else "**missed**"


def spread(rounds: Rounds, figure: str) -> Spread:
    """One figure over all rounds."""
    return Spread.of([figures[figure] for figures in rounds.values()])


def agreed(fetched: Iterable[frozenset[str]]) -> frozenset[str]:
    """The site, as most of those that crawled it found it: what more than half of them asked for."""
    runs = list(fetched)
    counts = Counter(path for paths in runs for path in paths)
    return frozenset(path for path, times in counts.items() if times * 2 > len(runs))


def complaint(asked: frozenset[str], expected: frozenset[str]) -> str:
    """Why a run does not count; empty if it asked for exactly what was expected."""
    found = []
    for what, paths in (("skipped", expected - asked), ("asked besides for", asked - expected)):
        if paths:
            found.append(f"{what} {len(paths):,} pages, such as {min(paths)}")
    return "; ".join(found)
