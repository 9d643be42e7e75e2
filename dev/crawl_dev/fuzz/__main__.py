"""The command ``python -m crawl_dev.fuzz``: every target for a while, and a table of what was tried and found."""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crawl_dev.fuzz.session import HANG_S, kept, last_of
from crawl_dev.fuzz.targets import TARGETS
from crawl_dev.process import same_modules

#: Seconds that a session may take beyond its time: to start, on a busy machine, and for an input that hangs in sleep.
_GRACE_S = 60 + 10 * HANG_S
#: Where findings are kept, and inputs that reach much.
_FOLDER = Path(".fuzz")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a session.

    Attributes:
        tries: inputs.
        found: of each kind of finding, what it is and the file of the input.
    """

    tries: int
    found: Sequence[tuple[str, str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if nothing was found, 1 if something was."""
    asked = _parser().parse_args(arguments)
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed  # noqa: S311 - no secret
    how = "atheris" if find_spec("atheris") else "chance alone (atheris is not installed)"
    print(f"inputs by {how}, {asked.seconds:g} s each, --seed {seed}")
    print(f"{'target':14} {'runs':>10} {'findings':>9}", flush=True)
    findings = 0
    for name in asked.target or TARGETS:
        told = session(name, asked.seconds, seed, asked.folder)
        findings += len(told.found)
        print(f"{name:14} {told.tries:>10,} {len(told.found):>9}", flush=True)
        for detail, file in told.found:
            print(f"  {detail}\n  input: {file}", flush=True)
    return 1 if findings else 0


def session(name: str, seconds: float, seed: int, folder: Path) -> Told:
    """Run a session in a process of its own, and tell what came of it, also when an input has ended it."""
    mine = folder / name
    mine.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "crawl_dev.fuzz.session", name, str(seconds), str(seed), str(folder)]
    with (mine / "log").open("wb") as log:
        try:
            done = subprocess.run(
                command,
                env=same_modules(),
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=seconds + _GRACE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _ended(mine, "hangs")
    if done.returncode:
        return _ended(mine, f"ends the process ({done.returncode}; see {mine / 'log'})")
    said = json.loads(done.stdout.splitlines()[-1])
    return Told(said["tries"], [(one["detail"], one["file"]) for one in said["found"]])


def _ended(folder: Path, how: str) -> Told:
    tries, data = last_of(folder)
    return Told(tries, [(how, str(kept(folder, data)))])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crawl_dev.fuzz",
        description="Try bytes that nobody thought of on everything that reads what strangers write.",
        epilog="examples: python -m crawl_dev.fuzz --seconds 10; python -m crawl_dev.fuzz --target page --target url",
    )
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="for each target (60)")
    parser.add_argument("--seed", type=int, metavar="N", help="of chance; another one each time by default")
    parser.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR", help="for inputs (.fuzz)")
    parser.add_argument(
        "--target", action="append", choices=sorted(TARGETS), metavar="NAME", help="only this one; repeatable"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
