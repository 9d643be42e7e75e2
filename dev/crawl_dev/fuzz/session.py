"""A process that tries inputs on one target until its time is up: ``python -m crawl_dev.fuzz.session``.

A process of its own, because an input may end it, or hang in code that nothing can stop. What it tries stands in a file
that outlives it. Inputs are chosen by atheris (https://github.com/google/atheris), which sees what code each of them
reaches; where it cannot be installed, by chance alone.
"""

import hashlib
import importlib
import json
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import NoReturn

from crawl_dev.fuzz.mutate import mutated
from crawl_dev.fuzz.target import Target
from crawl_dev.fuzz.trial import tried

#: Seconds of the processor after which an input ends the process: it hangs.
HANG_S = 10.0
#: In the file: inputs tried, and the length of the one in hand.
_HEAD = struct.Struct("=QL")
#: atheris' own limit counts the time of day, and 0 means none to libFuzzer but at once to atheris.
_NO_TIMEOUT_S = 86_400
#: Of ten inputs that atheris asks for, so many are changed by our own mutations, which know words and repeat pieces.
_OURS_OF_TEN = 3


class Session:
    """Tries inputs and keeps what it finds.

    Args:
        target: what is tried.
        folder: where findings are kept, and ``now``, the input in hand.
        seconds: for how long.
    """

    def __init__(self, target: Target, folder: Path, seconds: float) -> None:
        self.target = target
        self.tries = 0
        self.found: dict[str, dict[str, str]] = {}
        self._folder = folder
        self._end_s = time.monotonic() + seconds
        folder.mkdir(parents=True, exist_ok=True)
        self._now = _room(folder / "now", _HEAD.size + target.max_bytes)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end_s

    def known(self) -> Iterator[bytes]:
        """The target's own seeds, and whatever was found before."""
        yield from self.target.seeds
        yield from (file.read_bytes() for file in sorted(self._folder.glob("found-*")))

    def try_one(self, data: bytes) -> None:
        """Try an input, and keep it if it is the first of its kind of finding."""
        data = data[: self.target.max_bytes]
        self.tries += 1
        self._now[: _HEAD.size + len(data)] = _HEAD.pack(self.tries, len(data)) + data
        signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
        finding = tried(self.target, data)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if finding is not None and finding.kind not in self.found:
            file = kept(self._folder, data)
            self.found[finding.kind] = {"detail": finding.detail, "file": str(file)}

    def told(self) -> str:
        """What came of it, in JSON."""
        return json.dumps({"tries": self.tries, "found": list(self.found.values())})


def kept(folder: Path, data: bytes) -> Path:
    """The file that an input is kept in."""
    file = folder / f"found-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    return file


def last_of(folder: Path) -> tuple[int, bytes]:
    """How many inputs a session that was killed had tried, and the last one."""
    tries, size = _HEAD.unpack_from(said := (folder / "now").read_bytes())
    return tries, said[_HEAD.size : _HEAD.size + size]


def by_chance(session: Session, chance: Random) -> None:
    """Changes of what is known, until the time is up."""
    target = session.target
    for data in (known := list(session.known())):
        session.try_one(data)
    while not session.is_over:
        session.try_one(mutated(chance.choice(known), chance, target.words, known, target.max_bytes))


def by_coverage(session: Session, chance: Random, corpus: Path) -> NoReturn:
    """What reaches new code, changed again and again; it ends the process when the time is up."""
    atheris = importlib.import_module("atheris")
    target = session.target
    corpus.mkdir(exist_ok=True)
    for data in (known := list(session.known())):
        (corpus / hashlib.sha256(data).hexdigest()).write_bytes(data)
        session.try_one(data)

    def one(data: bytes) -> None:
        session.try_one(data)
        if session.is_over:
            print(session.told(), flush=True)
            os._exit(0)

    def change(data: bytes, max_bytes: int, seed: int) -> bytes:
        if seed % 10 < _OURS_OF_TEN:
            return mutated(data, Random(seed), target.words, known, max_bytes)  # noqa: S311 - no secret
        return bytes(atheris.Mutate(data, max_bytes))

    options = [f"-max_len={target.max_bytes}", f"-seed={chance.randrange(1, 1 << 31)}", f"-timeout={_NO_TIMEOUT_S}"]
    options += [f"-artifact_prefix={corpus.parent}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
    atheris.Fuzz()
    raise SystemExit("atheris has returned")


def main(arguments: Sequence[str]) -> None:
    """Run a session: the target, seconds, a seed for chance, and a folder."""
    name, seconds, seed, where = arguments
    watched = find_spec("atheris") is not None
    with _watched(watched):
        targets = importlib.import_module("crawl_dev.fuzz.targets").TARGETS
    folder = Path(where) / name
    session, chance = Session(targets[name], folder, float(seconds)), Random(int(seed))  # noqa: S311 - no secret
    if watched:
        by_coverage(session, chance, folder / "corpus")
    by_chance(session, chance)
    print(session.told(), flush=True)


@contextmanager
def _watched(is_watched: bool) -> Iterator[None]:
    """What is imported inside is watched by atheris."""
    if not is_watched:
        yield
        return
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["crawl_dedup", "crawl_producer", "crawl_consumer", "protego"]):
        yield


def _room(file: Path, size: int) -> mmap.mmap:
    with file.open("w+b") as opened:
        opened.truncate(size)
        return mmap.mmap(opened.fileno(), size)


if __name__ == "__main__":
    main(sys.argv[1:])
