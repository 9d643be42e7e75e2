"""Crash points: known by name, struck at the k-th time, free of charge otherwise."""

import re
import signal
import subprocess
import sys
import timeit
from pathlib import Path

import pytest
from typer.testing import CliRunner

import crawl_dedup
from crawl_dedup import crash_points
from crawl_producer.cli.status import app

SOURCES = [Path(crawl_dedup.__file__).parents[2] / package for package in ("dedup", "producer", "consumer")]
#: Very generous: some tens of nanoseconds are measured.
FREE_S = 2e-6


@pytest.fixture(autouse=True)
def disarmed():
    yield
    crash_points.arm("")


def dies_at(wanted, *places):
    """How a process ends that is armed and comes by these places."""
    code = f"from crawl_dedup import crash_points as c; c.arm({wanted!r}); [c.reached(p) for p in {places!r}]"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).returncode


def test_a_process_dies_at_the_place_it_is_armed_for_and_nowhere_else():
    assert dies_at("committed", "begun", "committed") == -signal.SIGKILL
    assert dies_at("committed", "begun", "confirmed") == 0


def test_the_k_th_time_counts():
    assert dies_at("begun:3", "begun", "committed", "begun") == 0
    assert dies_at("begun:3", "begun", "begun", "begun") == -signal.SIGKILL


def test_without_crash_at_nothing_happens_and_it_costs_nothing():
    crash_points.reached("committed")
    assert not crash_points.lost("begin.reply")
    times = timeit.repeat(lambda: crash_points.reached("committed"), number=10_000, repeat=5)
    assert min(times) / 10_000 < FREE_S


def test_a_dropped_connection_is_told_once():
    crash_points.arm("begin.reply:2:drop")
    assert [crash_points.lost("begin.reply") for _ in range(4)] == [False, True, False, False]
    assert not crash_points.lost("commit.reply")


@pytest.mark.parametrize(
    "wanted", ["comitted", "committed:0", "committed:x", "committed:1:drop", "committed:1:2", ":1"]
)
def test_what_is_no_place_is_refused_with_the_names_there_are(wanted):
    with pytest.raises(ValueError, match="CRASH_AT=") as refused:
        crash_points.arm(wanted)
    assert not crash_points.armed()
    if wanted == "comitted":
        assert all(point in str(refused.value) for point in crash_points.POINTS)


def test_a_command_refuses_it_too(monkeypatch):
    monkeypatch.setenv("CRASH_AT", "nowhere")
    told = CliRunner().invoke(app, [])
    assert told.exit_code == 2
    assert "there is no such place" in re.sub(r"[\s│]+", " ", told.output)


def test_every_place_stands_in_the_code_and_no_other():
    calls = re.compile(r'(?:reached|lost)\("([\w.]+)"\)')
    found = {place for folder in SOURCES for file in folder.rglob("*.py") for place in calls.findall(file.read_text())}
    functions = (SOURCES[0] / "crawl_dedup/ledger.lua").read_text()
    steps = set(re.findall(r"ledger1_(\w+)", functions))
    only_read = set(re.findall(r"ledger1_(\w+)'[^\n]*no-writes", functions))
    # A trial that is noted twice or not at all, and one that is not cleared, change what may be done next by one trial.
    # A restart may be done twice too, and one whose repair dies behind it lets at most a copy more be tried.
    walked = steps - only_read - {"pin", "trial", "cleared", "restart"}
    assert found <= crash_points.POINTS
    assert crash_points.POINTS - found == {f"{step}.reply" for step in walked}
