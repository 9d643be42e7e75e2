"""A ledger admits so many URLs of a host and no more, whoever comes together and whatever is repeated."""

import asyncio
from functools import partial

import pytest

from crawl_dedup import Commit, LedgerName
from ledger_worlds import NAME, memory_world, redis_world
from stories import in_a_world

OTHER_GROUP = LedgerName(NAME.crawl, "other")


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_world(request):
    if request.param == "memory":
        return memory_world
    return partial(redis_world, request.getfixturevalue("fresh_redis"))


async def living(world, consumer, name=NAME):
    ledger = await world.ledger(consumer, name)
    await ledger.heartbeat()
    return ledger


def of_hosts(ledger, *places, batch=b"seeds", outcome="seeded", **options):
    """A commit of URLs that are written as host/path."""
    messages = [(ledger.fingerprint(f"https://{place}"), place.encode()) for place in places]
    hosts = [place.partition("/")[0] for place in places]
    return Commit(ledger.seed_parent(batch), outcome, messages, hosts=hosts, **options)


async def admitted(ledger, *places, **options):
    committed = await ledger.commit(of_hosts(ledger, *places, **options))
    new = {body.decode() for _, body in committed.outbox.messages} if committed.outbox else set()
    return new, committed.duplicate, committed.over_limit, committed.over_host_limit


@in_a_world
async def test_each_host_has_its_own_limit(world):
    a = await living(world, "a")
    places = ("x.org/1", "y.org/1", "x.org/2", "x.org/3", "y.org/2")
    assert await admitted(a, *places, max_per_host=2) == ({"x.org/1", "y.org/1", "x.org/2", "y.org/2"}, 0, 0, 1)
    assert await admitted(a, "x.org/4", "z.org/1", batch=b"more", max_per_host=2) == ({"z.org/1"}, 0, 0, 1)
    progress = await a.progress()
    assert (progress.admitted, progress.open) == (5, 5)
    assert progress.counts == {"discovered": 7, "filtered:max_pages_per_host": 2}


@in_a_world
async def test_at_its_limit_a_known_url_is_still_a_duplicate(world):
    a = await living(world, "a")
    await admitted(a, "x.org/1", "x.org/2", max_per_host=2)
    done = a.fingerprint("https://x.org/1")
    await a.commit(Commit(done, "ok"))
    told = await admitted(a, "x.org/1", "x.org/2", "x.org/3", "x.org/3", batch=b"again", max_per_host=2)
    assert told == (set(), 2, 0, 2)


@in_a_world
async def test_what_two_limits_forbid_is_counted_once(world):
    a = await living(world, "a")
    places = ("x.org/1", "x.org/2", "y.org/1", "y.org/2")
    assert await admitted(a, *places, max_per_host=1, max_admitted=2) == ({"x.org/1", "y.org/1"}, 0, 1, 1)
    counts = (await a.progress()).counts
    assert counts == {"discovered": 4, "filtered:max_pages": 1, "filtered:max_pages_per_host": 1}


@in_a_world
async def test_a_repeated_commit_counts_no_url_twice(world):
    killed, again = await living(world, "killed"), await living(world, "again")
    first = await admitted(killed, "x.org/1", "x.org/2", max_per_host=3)
    assert first[0] == {"x.org/1", "x.org/2"}
    assert (await admitted(again, "x.org/1", "x.org/2", max_per_host=3))[0] == first[0]  # what it left
    await again.finish(again.seed_parent(b"seeds"))
    assert await admitted(again, "x.org/1", "x.org/2", max_per_host=3) == (set(), 2, 0, 0)
    assert await admitted(again, "x.org/3", "x.org/4", batch=b"more", max_per_host=3) == ({"x.org/3"}, 0, 0, 1)


@in_a_world
async def test_no_more_are_admitted_whoever_comes_together(world):
    consumers = [await living(world, f"c{i}") for i in range(5)]
    commits = [
        consumer.commit(
            of_hosts(
                consumer,
                *(f"{'xyz'[k % 3]}.org/{i}.{j}.{k}" for k in range(9)),
                batch=b"%d %d" % (i, j),
                max_per_host=17,
            )
        )
        for i, consumer in enumerate(consumers)
        for j in range(4)
    ]
    committed = await asyncio.gather(*commits)
    progress = await consumers[0].progress()
    assert progress.admitted == sum(each.admitted for each in committed) == 3 * 17
    assert progress.counts["filtered:max_pages_per_host"] == sum(each.over_host_limit for each in committed) == 180 - 51
    assert progress.counts["discovered"] == 180


@in_a_world
async def test_the_limit_is_each_groups_and_counts_from_when_it_was_set(world):
    a, other = await living(world, "a"), await living(world, "a", OTHER_GROUP)
    await admitted(a, "x.org/1", "x.org/2")
    assert await admitted(a, "x.org/3", "x.org/4", batch=b"more", max_per_host=1) == ({"x.org/3"}, 0, 0, 1)
    assert await admitted(other, "x.org/4", max_per_host=1) == ({"x.org/4"}, 0, 0, 0)


@in_a_world
async def test_without_the_limit_no_host_is_remembered(world):
    a = await living(world, "a")
    await admitted(a, "x.org/1")
    if hasattr(world, "redis"):
        assert not [key for key in await world.redis.call("KEYS", "*") if key.endswith(b"hosts")]
    else:
        assert not any(world.store.books(NAME).hosts.values())


@in_a_world
async def test_a_forgotten_crawl_has_forgotten_its_hosts(world):
    a = await living(world, "a")
    await admitted(a, "x.org/1", max_per_host=1)
    await world.forget()
    b = await living(world, "b")
    assert await admitted(b, "x.org/2", max_per_host=1) == ({"x.org/2"}, 0, 0, 0)
