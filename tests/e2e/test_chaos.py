"""Short chaos runs: consumers are killed, frozen, told to leave and refused by a full queue; the plan is the judge.

``make chaos`` is the long one. The table is shown with ``pytest -s``; a failure names the seed that repeats it.
"""

import asyncio
import secrets
from dataclasses import replace

import pytest

from crawl_dev.chaos.consumers import Crowd
from crawl_dev.chaos.recipes import RECIPES
from crawl_dev.chaos.report import row, table
from crawl_dev.chaos.run import rounds
from crawl_dev.chaos.world import Broker

#: Few pages, answered slowly enough to be disturbed.
SMALL = {"times": 10, "pages": 500, "pause_s": 0.2, "crowd": Crowd(5, concurrency=2)}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def run(rabbit, redis_server):
    """Runs the row of this name with other settings, and sees that it passes."""

    def running(name, **settings):
        redis_server.heal()
        (found,) = (recipe for recipe in RECIPES if recipe.name == name)
        recipe = replace(found, **settings)
        seed = secrets.randbelow(1_000_000)
        done = row(recipe, asyncio.run(rounds(recipe, Broker(rabbit, redis_server, "/"), seed, tell=lambda _: None)))
        print(f"\n{table([done])}")
        assert done.passed, table([done])
        assert (done.lost, done.unexplained) == (0, 0)
        assert done.injected >= recipe.times

    return running


def test_nothing_is_lost_by_several_faults_at_once_and_every_extra_fetch_is_explained(run):
    run("mixed", **SMALL)


def test_hosts_keep_their_pauses_while_consumers_are_killed(run):
    run("polite", times=2, pages=80)


def test_of_two_groups_each_crawls_everything_while_consumers_of_both_are_killed(run):
    run("groups", times=2, pages=150)
