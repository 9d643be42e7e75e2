"""What chaos runs tell the crawler is in order before any server is started for it."""

import json

import pytest

from crawl_dev.chaos.groups import group_of, groups
from crawl_dev.chaos.plan import SitePlan
from crawl_dev.chaos.recipes import RECIPES
from crawl_dev.chaos.world import topology
from crawl_producer.topology_file import parse_topology

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def topology_of(recipe):
    made = topology(SitePlan(1, 400, manners=recipe.manners), groups(recipe.groups), recipe.queue, recipe.crawl)
    return parse_topology(json.dumps(made), recipe.name)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_recipe_has_a_topology_without_mistakes(name):
    assert len(topology_of(BY_NAME[name]).groups("chaos")) == max(1, len(BY_NAME[name].groups))


def test_no_two_recipes_share_a_name():
    assert len(BY_NAME) == len(RECIPES)


def test_a_crawl_is_as_polite_as_its_site_asks_and_no_slower():
    spec = topology_of(BY_NAME["polite"]).crawls["chaos"]
    assert (spec.robots.obey, spec.politeness.delay_s) == (True, BY_NAME["polite"].manners.delay_s)
    assert spec.politeness.latency_factor == 0
    spec = topology_of(BY_NAME["kill"]).crawls["chaos"]
    assert (spec.robots.obey, spec.politeness.delay_s) == (False, 0)


def test_the_site_sees_by_a_consumers_name_which_group_it_is_of():
    archive, linkcheck = groups(("archive", "linkcheck"))
    names = [f"c7{group.suffix}" for group in (archive, linkcheck, *groups(()))]
    assert [group_of(name) for name in names] == ["archive", "linkcheck", ""]
    assert not f"c7{archive.suffix}".endswith(linkcheck.suffix)
