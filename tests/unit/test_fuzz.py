"""Every reader of strangers' bytes on inputs that nobody thought of: the same few thousand each time."""

import json
import random
import signal
import subprocess
import sys

import pytest

from crawl_dev.fuzz import session
from crawl_dev.fuzz.__main__ import main
from crawl_dev.fuzz.mutate import mutated
from crawl_dev.fuzz.target import Target, surely
from crawl_dev.fuzz.targets import TARGETS
from crawl_dev.fuzz.trial import tried
from crawl_dev.process import same_modules

#: Changed inputs of each target; ``make fuzz`` tries a hundred thousand.
INPUTS = 1000
#: Seconds of the processor for one, on machines ten times slower than those that ``make fuzz`` is for.
MAX_CPU_S = 10.0


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_make_a_reader_break_its_promises(name):
    target, chance = TARGETS[name], random.Random(1)
    inputs = [*target.seeds]
    inputs += [
        mutated(chance.choice(target.seeds), chance, target.words, target.seeds, target.max_bytes)
        for _ in range(INPUTS)
    ]
    for data in inputs:
        found = tried(target, data, max_cpu_s=MAX_CPU_S)
        assert found is None, f"{found.detail}: {data!r:.500}"


def test_changes_are_the_same_for_the_same_chance_and_never_too_long():
    def changes(seed):
        chance = random.Random(seed)
        return [mutated(b"<a href=x>", chance, [b"word"], [b"another one"], 100) for _ in range(300)]

    assert changes(1) == changes(1) != changes(2)
    assert max(map(len, changes(1))) == 100
    assert any(b"word" in data for data in changes(1))


def broken(check):
    return Target("broken", check, [b"seed"], max_bytes=100)


def test_what_a_reader_raises_is_found_and_told_apart_by_its_place():
    found = tried(broken(lambda data: data[99]), b"x")
    assert found.kind.startswith("IndexError test_fuzz.py:")
    assert "index out of range" in found.detail
    assert tried(broken(lambda _: surely(holds=False, what="it is green")), b"").kind == "Broken it is green"
    assert tried(broken(len), b"") is None


def test_what_takes_too_long_of_the_processor_is_found():
    assert tried(broken(lambda _: sum(range(100_000))), b"", max_cpu_s=0).kind == "slow"


def test_a_session_keeps_one_input_of_each_kind_and_tries_it_again(tmp_path):
    def check(data):
        surely(b"bad" not in data, "bad is in it")

    first = session.Session(broken(check), tmp_path, 60)
    for data in (b"good", b"bad 1", b"bad 2"):
        first.try_one(data)
    (told,) = json.loads(first.told())["found"]
    assert (first.tries, (tmp_path / told["file"]).read_bytes()) == (3, b"bad 1")
    again = session.Session(broken(check), tmp_path, 0)
    session.by_chance(again, random.Random(1))
    assert (again.tries, len(again.found)) == (2, 1)


def test_an_input_that_ends_its_process_is_known_afterwards(tmp_path):
    program = (
        "import os, pathlib\n"
        "from crawl_dev.fuzz import session, target\n"
        "one = target.Target('t', lambda data: data == b'end' and os._exit(3), [b'seed'])\n"
        f"run = session.Session(one, pathlib.Path({str(tmp_path)!r}), 60)\n"
        "run.try_one(b'a long input')\n"
        "run.try_one(b'end')\n"
    )
    assert subprocess.run([sys.executable, "-c", program], env=same_modules(), check=False).returncode == 3
    assert session.last_of(tmp_path) == (2, b"end")


def test_an_input_that_hangs_ends_its_process(tmp_path):
    program = (
        "import pathlib\n"
        "from crawl_dev.fuzz import session, target\n"
        "session.HANG_S = 0.05\n"
        "def hang(data):\n"
        "    while True: pass\n"
        "one = target.Target('t', hang, [b'seed'])\n"
        f"session.Session(one, pathlib.Path({str(tmp_path)!r}), 60).try_one(b'for ever')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=same_modules(), check=False)
    assert ended.returncode == -signal.SIGVTALRM
    assert session.last_of(tmp_path) == (1, b"for ever")


def test_the_command_prints_what_it_tried(tmp_path, capsys):
    code = main(["--seconds", "0.2", "--target", "retry-after", "--folder", str(tmp_path)])
    out = capsys.readouterr().out
    row = out.splitlines()[-1].split()
    assert (code, row[0], row[2]) == (0, "retry-after", "0"), out
    assert int(row[1].replace(",", "")) >= len(TARGETS["retry-after"].seeds)
