"""Every page of the hostile web, fetched and parsed by one process: it lives, in time, and counts each as what it is.

``make hostile`` does the same a hundred times each.
"""

import pytest

from crawl_dev.hostile.hazards import HAZARDS
from crawl_dev.hostile.visits import visits

# Each hazard takes a tenth of a second or two; this is for a machine that is many times slower.
pytestmark = pytest.mark.timeout(900)

TIMES = 2


@pytest.fixture(scope="module")
def visited():
    """What became of each hazard, all in one process after the other, those that only wait at the same time."""
    return {one.cost.hazard: one for one in visits(list(HAZARDS), TIMES)}


@pytest.mark.parametrize("name", HAZARDS)
def test_a_hazard_does_no_harm_and_is_counted_as_what_it_is(name, visited):
    one = visited[name]
    assert sum(one.cost.outcomes.values()) == TIMES
    assert not one.problems, f"{one.problems}: {one.cost}"
