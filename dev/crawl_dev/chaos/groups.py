"""The groups of a chaos run's crawl: each has a queue, a ledger, a folder of items and consumers of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crawl_dev.chaos.books import CRAWL, MAIN, QUEUE


@dataclass(frozen=True, slots=True)
class Group:
    """One of them.

    Attributes:
        name: as in exchanges.yaml.
        queue: its only one.
        suffix: what the names of its consumers end with; the site sees by that whose visitor it has.
    """

    name: str
    queue: str
    suffix: str

    def items(self, output: Path) -> Path:
        """Its part of the output's folder."""
        return output / self.suffix.removeprefix("-")


def groups(names: Sequence[str]) -> tuple[Group, ...]:
    """The groups of these names; without any the only one that every crawl has."""
    if not names:
        return (Group(MAIN, QUEUE, ""),)
    return tuple(Group(name, f"{CRAWL}.{name}", f"-{name}") for name in names)


def group_of(consumer: str) -> str:
    """The suffix in a consumer's name, without its dash; empty where there is only one group."""
    return consumer.partition("-")[2]
