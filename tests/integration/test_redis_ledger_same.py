"""Whatever happens, the ledger in Redis and the one in memory give the same answers and keep the same books."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawl_dedup import Begun, Commit, Committed, Outbox
from ledger_worlds import MemoryWorld, redis_world

consumers = st.sampled_from(["a", "b", "c"])
pages = st.sampled_from([f"https://example.org/{i}" for i in range(6)])
parents = pages | st.sampled_from([b"first seeds", b"second seeds"])
counts = st.dictionaries(st.sampled_from(["filtered:depth", "filtered:scope", "items"]), st.integers(0, 3))
limits = st.sampled_from([0, 0, 0, 2, 4])
host_limits = st.sampled_from([0, 0, 1, 2])
#: Sums of these never come near the moments at which a lease, a heartbeat or a grace ends (10, 15, 60 and 600 s).
spans_s = st.sampled_from([3.71, 11.31, 16.13, 61.7, 601.9])

steps = st.one_of(
    st.tuples(st.just("begin"), consumers, pages),
    st.tuples(st.just("commit"), consumers, parents, st.lists(pages, max_size=4), counts, limits, host_limits),
    st.tuples(st.just("finish"), consumers, parents),
    st.tuples(st.just("release"), consumers, pages),
    st.tuples(st.just("reopen"), consumers, pages, st.sampled_from(["ok", ""]), st.sampled_from(["1", "2"])),
    st.tuples(st.just("give_up"), consumers, pages, st.sampled_from(["", "1", "2"])),
    st.tuples(st.just("heartbeat"), consumers),
    st.tuples(st.just("leave"), consumers),
    st.tuples(st.just("orphans"), consumers),
    st.tuples(st.just("passes"), spans_s),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(steps, max_size=40))
def test_memory_and_redis_tell_the_same_story(fresh_redis, story):
    async def play():
        async with redis_world(fresh_redis, expected_urls=1) as in_redis:
            await in_redis.redis.call("FLUSHDB")
            for step in story:
                told = [await tell(world, *step) for world in (in_memory, in_redis)]
                assert told[0] == told[1], step
            told = [await (await world.ledger("a")).progress() for world in (in_memory, in_redis)]
            assert told[0] == told[1]

    in_memory = MemoryWorld()
    asyncio.run(play())


async def tell(world, step, *details):
    """Do one step and tell the answer, in a form that can be compared."""
    if step == "passes":
        return await world.passes(*details)
    consumer, *details = details
    ledger = await world.ledger(consumer)
    if step == "reopen":
        url, outcome, letter = details
        return await ledger.reopen(ledger.fingerprint(url), outcome=outcome, letter=letter)
    if step == "give_up":
        url, letter = details
        return await ledger.give_up(ledger.fingerprint(url), "dropped", letter=letter)
    identified = [identity(ledger, detail) for detail in details]
    if step == "commit":
        parent, children, by_name, limit, host_limit = identified
        messages = [(child, f"message of {child}".encode()) for child in children]
        hosts = [f"{int(url[-1]) % 2}.example" for url in details[1]]
        commit = Commit(parent, "ok", messages, by_name, limit, max_per_host=host_limit, hosts=hosts)
        return comparable(await ledger.commit(commit))
    answer = await getattr(ledger, step)(*identified)
    return {comparable(orphan) for orphan in answer} if step == "orphans" else comparable(answer)


def identity(ledger, detail):
    if isinstance(detail, bytes):
        return ledger.seed_parent(detail)
    if isinstance(detail, list):
        return [ledger.fingerprint(url) for url in detail]
    return ledger.fingerprint(detail) if isinstance(detail, str) else detail


def comparable(answer):
    """Without the order of an outbox, and with waits to the half second."""
    match answer:
        case Begun():
            return answer.verdict, comparable(answer.outbox), round(answer.wait_ms / 500)
        case Committed():
            turned_away = answer.duplicate, answer.over_limit, answer.over_host_limit
            return comparable(answer.outbox), answer.admitted, *turned_away
        case Outbox():
            return answer.parent, answer.outcome, frozenset(answer.messages)
    return answer
