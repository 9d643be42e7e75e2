"""The protocol's invariant holds after every step of any history, on the ledger in memory and on that in Redis."""

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from protocol_machine import ProtocolMachine
from protocol_worlds import MemoryProtocolWorld, RedisProtocolWorld

#: Histories for each ledger: always the same ones, or as many new ones as this variable says.
HISTORIES = int(os.environ.get("CRAWL_TEST_HISTORIES", "0"))
RULES = settings(
    max_examples=HISTORIES or 80,
    stateful_step_count=40,
    derandomize=not HISTORIES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_nothing_is_lost_by_any_history_of_the_ledger_in_memory():
    play(MemoryProtocolWorld())


def test_nothing_is_lost_by_any_history_of_the_ledger_in_redis(fresh_redis):
    play(RedisProtocolWorld(fresh_redis))


def play(world):
    try:
        run_state_machine_as_test(lambda: ProtocolMachine(world), settings=RULES)
    finally:
        world.close()
