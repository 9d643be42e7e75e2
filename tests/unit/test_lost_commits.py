"""A Redis that comes back without its last second, as a consumer meets it: what was lost is done again."""

import asyncio

import pytest

from crawl_consumer import worker
from crawl_dedup import LedgerName
from crawl_dedup.ledger import ALIVE_TTL_S
from small_world import HOME, html
from watched_world import Watched

A = ["fetch /a", "done /a", "acked /a"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(worker, "COMPLETION_POLL_S", 0.01)


def lost_at(world, moment):
    """At this moment Redis comes back empty, which is the longest last second that there is."""
    world.upon[moment] = lambda: world.store.forget(LedgerName("c"))


def test_a_commit_lost_before_finish_is_made_again_without_another_fetch():
    async def main():
        async with Watched({HOME: html("/a"), HOME + "a": html()}) as world:
            await world.seed(HOME)
            lost_at(world, "link /a")
            return await world.told(), (await world.progress()).outcomes

    told, outcomes = asyncio.run(main())
    assert told[:7] == ["fetch /", "keep /", "link /a", "lost /", "keep /", "link /a", "done /"]
    assert sorted(told[7:]) == sorted(["acked /", *A, "acked /a"])
    assert outcomes == {"ok": 2}


def test_an_outbox_lost_while_it_is_published_again_is_fetched_again_and_acknowledged_only_then():
    async def main():
        async with Watched({HOME: html("/a"), HOME + "a": html()}) as world:
            await world.seed(HOME)
            world.upon["keep /"] = world.kill
            with pytest.raises(BaseExceptionGroup):
                await world.told()
            world.skew_s = ALIVE_TTL_S + 1
            lost_at(world, "link /a")
            return await world.told(consumer="second"), (await world.progress()).outcomes

    told, outcomes = asyncio.run(main())
    assert told[:6] == ["link /a", "lost /", "fetch /", "keep /", "link /a", "done /"]
    assert sorted(told[6:]) == sorted(["acked /", *A, "acked /a"])
    assert outcomes == {"ok": 2}
