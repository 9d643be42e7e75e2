"""Short chaos runs against the servers: what befalls RabbitMQ, Redis and the network in the middle of a crawl.

``make chaos`` runs the same faults for minutes; the plan of the site is the judge here as there.
"""

import asyncio
import secrets
from dataclasses import replace

import pytest

from crawl_dev import PrivateServers
from crawl_dev.chaos.consumers import Crowd
from crawl_dev.chaos.recipes import RECIPES
from crawl_dev.chaos.report import row, table
from crawl_dev.chaos.run import rounds
from crawl_dev.chaos.world import Broker

#: Few pages, answered slowly enough to be disturbed.
SMALL = {"pages": 250, "pause_s": 0.1, "crowd": Crowd(3)}

pytestmark = pytest.mark.timeout(180)


def assert_nothing_lost(fault, times, rabbit, redis):
    """Run a fault so many times; returns its row."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == fault)
    recipe = replace(recipe, times=times, **SMALL)
    seed = secrets.randbelow(1_000_000)
    done = row(recipe, asyncio.run(rounds(recipe, Broker(rabbit, redis, "/"), seed, tell=lambda _: None)))
    print(f"\n{table([done])}")
    assert done.passed, table([done])
    assert (done.lost, done.unexplained) == (0, 0)
    return done


@pytest.fixture
def redis(redis_server):
    redis_server.heal()
    return redis_server


def test_a_power_cut_of_redis_costs_fetches_and_no_url(rabbit, redis):
    assert_nothing_lost("redis-power", 2, rabbit, redis)


def test_alarms_stop_publishers_and_not_acknowledgements_and_cost_no_fetch(rabbit, redis):
    assert assert_nothing_lost("alarms", 1, rabbit, redis).explained == 0


def test_a_network_that_resets_and_falls_silent_costs_no_fetch(rabbit, redis):
    assert assert_nothing_lost("network", 2, rabbit, redis).explained == 0


def test_answers_of_redis_that_are_cut_in_the_middle_cost_no_fetch(rabbit, redis):
    assert assert_nothing_lost("redis-network", 2, rabbit, redis).explained == 0


def test_a_promoted_replica_goes_on_with_the_crawl(rabbit):
    with PrivateServers(rabbit_nodes=0, replicated=True) as servers:
        assert_nothing_lost("redis-promote", 1, rabbit, servers.replicated)
