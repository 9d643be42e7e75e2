"""The ledger's protocol, in every interleaving: nothing is lost, and each request beyond the first has its fault.

Each test walks through all states that two consumers and a seeder can reach while an adversary strikes between any
two steps. ``CRAWL_MODEL_DEEP=1 pytest tests/model`` walks through the large worlds too, which takes minutes.
"""

import os

import pytest

from model.explorer import explore
from model.flaws import Flaw
from model.properties import fetched_too_often, lost
from model.scenarios import LARGE, PAIR, SMALL, UNSAFE
from model.state import Faults

_SCENARIOS = SMALL + (LARGE if os.environ.get("CRAWL_MODEL_DEEP") else ())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", _SCENARIOS, ids=str)
def test_nothing_is_lost_nor_fetched_without_need_and_the_end_is_told_when_it_is_true(scenario):
    found = explore(scenario.site, scenario.faults, seeded=scenario.seeded)
    assert found.counterexample is None, f"\n{found.counterexample}"
    assert found.good_ends
    assert found.max_fetches == scenario.max_fetches


@pytest.mark.parametrize("unsafe", UNSAFE, ids=str)
def test_a_flaw_has_a_counterexample(unsafe):
    found = explore(unsafe.site, unsafe.faults, {unsafe.flaw}, seeded=unsafe.seeded, safety=unsafe.safety)
    print(found.counterexample)
    assert unsafe.problem in found.counterexample.problem
    assert found.counterexample.steps


def test_every_flaw_is_tried():
    assert {unsafe.flaw for unsafe in UNSAFE} == set(Flaw)


def test_an_outbox_alone_carries_its_links_as_long_as_redis_forgets_nothing():
    flaw = {Flaw.ACK_BEFORE_PUBLISH}
    assert explore(PAIR, Faults(crashes=1), flaw, safety=(fetched_too_often,)).counterexample is None


def test_only_a_redis_that_forgets_the_very_seeding_can_tell_the_end_too_early():
    told = explore(PAIR, Faults(rollbacks=1)).counterexample
    assert told.problem == "told complete without a"
    assert told.steps[0] == "(the last write of Redis that will survive)"
    safe = explore(PAIR, Faults(rollbacks=1, lost_replies=1), safety=(lost, fetched_too_often))
    assert safe.counterexample is None
