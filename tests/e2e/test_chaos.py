"""A short chaos run: consumers killed, frozen and refused by a full queue, judged by what the site's plan says.

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

#: What the crawls of these tests are made from: few pages, answered slowly enough to be disturbed.
SMALL = {
    "kill": {"times": 10, "pages": 500, "pause_s": 0.25, "crowd": Crowd(4, concurrency=2)},
    "freeze": {"times": 2, "pages": 400, "pause_s": 0.1},
    "full-queue": {"times": 3, "pages": 300, "pause_s": 0.1},
}
BY_NAME = {recipe.name: recipe for recipe in RECIPES}

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_lost_and_every_extra_fetch_is_explained(name, rabbit, redis_server):
    redis_server.heal()
    recipe = replace(BY_NAME[name], **SMALL[name])
    seed = secrets.randbelow(1_000_000)
    done = row(recipe, asyncio.run(rounds(recipe, Broker(rabbit, redis_server, "/"), seed, tell=lambda _: None)))
    print(f"\n{table([done])}")
    assert done.passed, table([done])
    assert (done.lost, done.unexplained) == (0, 0)
    assert done.injected >= recipe.times
