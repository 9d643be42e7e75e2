"""Put known defects into copies of this tree, one at a time, and see that a test finds each: ``make test-mutations``.

``python -m crawl_dev.mutations WORD …`` tries only those whose name contains one of the words.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "mutations.toml"
#: What the tests need of the tree.
COPIED = ("dedup", "producer", "consumer", "dev", "tests", "pyproject.toml", "exchanges.yaml")
SOURCES = ("dedup", "producer", "consumer", "dev", "tests")
#: Mutations tried at once: the smallest machine that this is used on has two cores.
AT_ONCE = 2
#: Seconds for one test. A mutation may make one wait for ever; that it fails then is a find like any other.
TEST_TIMEOUT_S = 30
#: pytest's exit code when tests ran and some failed (https://docs.pytest.org/en/stable/reference/exit-codes.html).
_FAILED = 1
_FIRST = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", re.MULTILINE)


class MutationStale(Exception):
    """The table no longer fits the tree."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One defect.

    Attributes:
        name: the place, and what is wrong there.
        breaks: what it would cost.
        file: path from the root of the tree.
        old: text that stands in it exactly once.
        new: what stands there instead.
        tests: files that must find it, together.
        select: pytest's -k for them; empty: all tests.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    select: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the defect. Raises MutationStale."""
        if (found := text.count(self.old)) != 1:
            raise MutationStale(f"{self.name}: its old text stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Run:
    """What pytest said: its exit code, the first test that failed, its output and how long it took."""

    code: int
    first: str
    output: str
    seconds: float


class Tree:
    """A copy of this tree that defects are put into and taken out of."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, root / name)

    @classmethod
    @contextmanager
    def copied(cls) -> Iterator[Self]:
        """In a temporary folder."""
        with tempfile.TemporaryDirectory(prefix="crawl-mutations-") as folder:
            yield cls(Path(folder))

    @contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """With this defect. Raises MutationStale."""
        file = self._root / mutation.file
        sound = file.read_text()
        file.write_text(mutation.applied(sound))
        try:
            yield
        finally:
            file.write_text(sound)

    def test(self, tests: Sequence[str], select: str) -> Run:
        """Run these tests on the copy until the first one fails."""
        began_s = time.monotonic()
        # Compiled files are told apart by whole seconds and sizes, which a mutation need not change.
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(self._root / name) for name in SOURCES),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "-p", "no:cacheprovider", "--tb=no"]
        command += [f"--timeout={TEST_TIMEOUT_S}", "-k", select, *tests]
        done = subprocess.run(command, cwd=self._root, env=environment, capture_output=True, text=True, check=False)
        first = _FIRST.search(done.stdout)
        seconds = time.monotonic() - began_s
        return Run(done.returncode, first[1] if first else "", done.stdout + done.stderr, seconds)


def table() -> list[Mutation]:
    """Every mutation, as it stands in the table."""
    rows = tomllib.loads(TABLE.read_text())["mutation"]
    return [Mutation(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def main() -> int:
    """Try them; returns 1 when one survives or the table no longer fits the tree."""
    words = sys.argv[1:]
    mutations = [m for m in table() if not words or any(word in m.name for word in words)]
    if not mutations:
        print(f"mutations: no name contains {' or '.join(words)}", file=sys.stderr)
        return 1
    with Tree.copied() as one, Tree.copied() as other, ThreadPoolExecutor(AT_ONCE) as pool:
        trees = SimpleQueue[Tree]()
        for tree in (one, other):
            trees.put(tree)
        try:
            if not all(pool.map(lambda tests: _sound(trees, *tests), sorted({(m.tests, m.select) for m in mutations}))):
                return 1
            caught = list(pool.map(lambda mutation: _caught(trees, mutation), mutations))
        except MutationStale as stale:
            print(f"mutations: {stale}; bring tests/mutations.toml up to date", file=sys.stderr)
            return 1
    print(f"{sum(caught)} of {len(caught)} mutations were found")
    return 0 if all(caught) else 1


def _sound(trees: SimpleQueue[Tree], tests: tuple[str, ...], select: str) -> bool:
    """Whether the tests pass without a defect; otherwise they prove nothing."""
    run = _on(trees, None, tests, select)
    if run.code:
        print(f"without any mutation {run.first or ', '.join(tests)} fails:\n{run.output}")
    return not run.code


def _caught(trees: SimpleQueue[Tree], mutation: Mutation) -> bool:
    run = _on(trees, mutation, mutation.tests, mutation.select)
    found = run.code == _FAILED and bool(run.first)
    print(
        f"{mutation.name:<66} {run.first if found else 'SURVIVES: ' + mutation.breaks}  {run.seconds:.1f} s", flush=True
    )
    if not found and run.code:
        print(run.output)
    return found


def _on(trees: SimpleQueue[Tree], mutation: Mutation | None, tests: tuple[str, ...], select: str) -> Run:
    tree = trees.get()
    try:
        if mutation is None:
            return tree.test(tests, select)
        with tree.mutated(mutation):
            return tree.test(tests, select)
    finally:
        trees.put(tree)


if __name__ == "__main__":
    sys.exit(main())
