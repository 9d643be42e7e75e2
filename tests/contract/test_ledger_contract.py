"""What every ledger promises, tried on both: in memory and in Redis."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from crawl_dedup import (
    ALIVE_TTL_S,
    LEASE_HOLDS_S,
    Claim,
    Commit,
    Finale,
    Ledger,
    LedgerForgot,
    LedgerName,
    Outbox,
    Progress,
    Standing,
    Verdict,
)
from crawl_dedup.ledger import REOPENED_TTL_S, SUSPECT_TTL_S
from ledger_worlds import NAME, memory_world, redis_world
from stories import in_a_world

#: Longer than an outbox belongs to its committer alone.
GRACE_OVER_S = 11.0


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_world(request):
    if request.param == "memory":
        return memory_world
    return partial(redis_world, request.getfixturevalue("fresh_redis"))


async def living(world, consumer: str, name: LedgerName = NAME) -> Ledger:
    ledger = await world.ledger(consumer, name)
    await ledger.heartbeat()
    return ledger


def urls(ledger, *names):
    return [ledger.fingerprint(f"https://example.org/{name}") for name in names]


def links(ledger, *names):
    return [(url, f"message of {name}".encode()) for url, name in zip(urls(ledger, *names), names, strict=True)]


def by_child(outbox: Outbox | None):
    return dict(outbox.messages) if outbox else None


async def seed(ledger, *names) -> None:
    parent = ledger.seed_parent(" ".join(names).encode())
    await ledger.commit(Commit(parent, "seeded", links(ledger, *names)))
    await ledger.finish(parent)


# begin


@in_a_world
async def test_an_unknown_url_is_admitted_by_whoever_begins_it(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    assert (await a.begin(url)).verdict is Verdict.GO
    progress = await a.progress()
    assert (progress.admitted, progress.open, progress.counts) == (1, 1, {"adopted": 1})


@in_a_world
async def test_beginning_twice_is_the_same_as_once(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    assert [(await a.begin(url)).verdict for _ in range(2)] == [Verdict.GO, Verdict.GO]
    assert (await a.progress()).admitted == 1


@in_a_world
async def test_a_url_that_somebody_fetches_is_busy_for_the_others(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    begun = await b.begin(url)
    assert begun.verdict is Verdict.BUSY
    assert ALIVE_TTL_S * 900 < begun.wait_ms <= ALIVE_TTL_S * 1000
    await world.passes(ALIVE_TTL_S - 0.1)
    assert (await b.begin(url)).wait_ms >= 250
    assert begun.outbox is None


@in_a_world
async def test_a_consumer_that_died_holds_no_lease(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    await world.passes(ALIVE_TTL_S)
    await b.heartbeat()
    assert (await b.begin(url)).verdict is Verdict.GO
    await a.heartbeat()
    assert (await a.begin(url)).verdict is Verdict.BUSY


@in_a_world
async def test_heartbeats_keep_a_lease(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    for _ in range(3):
        await world.passes(ALIVE_TTL_S - 1)
        await a.heartbeat()
        assert (await b.begin(url)).verdict is Verdict.BUSY


@in_a_world
async def test_a_lease_that_a_living_consumer_does_not_know_of_ends_by_itself(world):
    """It came back with a Redis that had lost how the URL ended: the consumer lives, and works on other things."""
    before, b = await living(world, "a"), await living(world, "b")
    [url] = urls(b, "page")
    await before.begin(url)
    a = await world.ledger("a")
    for _ in range(3):
        await a.heartbeat()
        assert (await b.begin(url)).verdict is Verdict.BUSY
        await world.passes(LEASE_HOLDS_S / 3)
    await a.heartbeat()
    assert (await b.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_what_was_given_back_or_has_ended_is_renewed_no_more(world):
    a, b = await living(world, "a"), await living(world, "b")
    released, finished, empty = urls(a, "released", "finished", "empty")
    for url in (released, finished, empty):
        await a.begin(url)
    await a.release(released)
    await a.commit(Commit(finished, "ok", links(a, "child")))
    await a.finish(finished)
    await a.commit(Commit(empty, "ok"))
    await world.forget()
    for url in (released, finished, empty):  # the same URLs, leased to the same consumer by somebody else
        await (await world.ledger("a")).begin(url)
    for _ in range(3):
        await world.passes(LEASE_HOLDS_S / 3)
        await a.heartbeat()
    assert {(await b.begin(url)).verdict for url in (released, finished, empty)} == {Verdict.GO}


@in_a_world
async def test_a_lease_holds_for_as_long_as_its_consumer_is_at_work_even_beyond_its_trace(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    for _ in range(60):
        await world.passes(12)
        await a.heartbeat()
    assert (await b.begin(url)).verdict is Verdict.BUSY


@in_a_world
async def test_leaving_frees_everything_at_once_and_may_be_repeated(world):
    a, b = await living(world, "a"), await living(world, "b")
    first, second = urls(a, "first", "second")
    await a.begin(first)
    await a.begin(second)
    await a.leave()
    await a.leave()
    assert (await b.begin(first)).verdict is Verdict.GO
    assert (await b.begin(second)).verdict is Verdict.GO


@in_a_world
async def test_a_released_url_is_free_and_still_open(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    await b.release(url)
    assert (await b.begin(url)).verdict is Verdict.BUSY
    await a.release(url)
    await a.release(url)
    assert (await a.progress()).open == 1
    assert (await b.begin(url)).verdict is Verdict.GO


# attempts


@in_a_world
async def test_a_copy_of_an_attempt_that_a_later_one_has_replaced_is_turned_away(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    for attempt in (0, 1):
        assert (await a.begin(url, attempt=attempt)).verdict is Verdict.GO
        await a.release(url, next_attempt=attempt + 1)
        for ledger in (a, b):
            assert (await ledger.begin(url, attempt=attempt)).verdict is Verdict.DONE
    assert (await b.progress()).open == 1
    # Whoever is turned away has taken no lease, and left nobody under suspicion.
    begun = await b.begin(url, attempt=2)
    assert (begun.verdict, begun.trials) == (Verdict.GO, None)
    await b.release(url)
    assert (await a.begin(url, attempt=2)).verdict is Verdict.GO


@in_a_world
async def test_nothing_is_turned_away_before_the_next_attempt_is_told(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    for _ in range(2):
        assert (await a.begin(url, attempt=1)).verdict is Verdict.GO
        await a.release(url)
    assert (await a.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_an_earlier_attempt_that_comes_to_its_end_later_brings_nothing_back(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.release(url, next_attempt=2)
    await a.begin(url, attempt=2)
    await a.release(url, next_attempt=1)
    assert (await a.begin(url, attempt=1)).verdict is Verdict.DONE
    assert (await a.begin(url, attempt=2)).verdict is Verdict.GO


@in_a_world
async def test_a_copy_of_any_attempt_may_publish_what_is_left_in_the_outbox(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.release(url, next_attempt=1)
    await a.begin(url, attempt=1)
    await a.commit(Commit(url, "ok", links(a, "child")))
    assert (await a.begin(url)).verdict is Verdict.PUBLISH


@in_a_world
async def test_attempts_of_a_url_that_has_ended_are_forgotten_and_a_late_one_says_nothing(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.release(url, next_attempt=1)
    await a.begin(url, attempt=1)
    await a.commit(Commit(url, "failed"))
    await a.release(url, next_attempt=1)  # a frozen consumer's
    assert await a.reopen(url, outcome="failed", letter="1")
    assert (await a.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_who_was_frozen_says_nothing_of_attempts_after_his_url_was_replayed(world):
    frozen, other = await living(world, "a"), await living(world, "b")
    [url] = urls(frozen, "page")
    await frozen.begin(url)  # its next attempt's message is confirmed; then it freezes
    await world.passes(ALIVE_TTL_S + 1)
    await other.heartbeat()
    assert (await other.begin(url, attempt=1)).verdict is Verdict.GO
    await other.commit(Commit(url, "failed"))
    assert await other.reopen(url, outcome="failed", letter="1")
    await frozen.heartbeat()
    await frozen.release(url, next_attempt=1)
    assert (await other.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_who_was_frozen_says_nothing_of_attempts_that_were_begun_anew_meanwhile(world):
    frozen, other = await living(world, "a"), await living(world, "b")
    restarted, reopened = urls(frozen, "restarted", "reopened")
    for url in (restarted, reopened):
        await frozen.begin(url)
    await world.passes(ALIVE_TTL_S + 1)
    await other.heartbeat()
    await other.restart([restarted])
    assert await other.reopen(reopened, outcome="", letter="1")
    await frozen.heartbeat()
    for url in (restarted, reopened):
        await frozen.release(url, next_attempt=1)
        begun = await other.begin(url)
        # A lease was left nevertheless: perhaps its consumer had died over the page.
        assert (begun.verdict, begun.trials) == (Verdict.GO, 0)


@in_a_world
async def test_another_letter_of_a_page_leaves_it_to_who_has_it_in_hand(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.commit(Commit(url, "ok"))
    assert await b.reopen(url, outcome="ok", letter="1")
    await a.begin(url)
    assert await b.reopen(url, outcome="ok", letter="1")
    assert (await b.begin(url)).verdict is Verdict.BUSY
    await a.release(url, next_attempt=1)
    assert (await b.begin(url)).verdict is Verdict.DONE


@in_a_world
async def test_a_letter_of_an_open_url_that_was_retried_begins_its_attempts_anew(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.release(url, next_attempt=3)
    assert await a.reopen(url, outcome="", letter="1")
    assert (await a.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_after_a_restart_any_attempt_counts(world):
    a = await living(world, "a")
    one, other = urls(a, "one", "other")
    for url in (one, other):
        await a.begin(url)
        await a.release(url, next_attempt=3)
    await a.restart([one])
    assert (await a.begin(one)).verdict is Verdict.GO
    assert (await a.begin(other)).verdict is Verdict.DONE


# relying on what is known


@in_a_world
async def test_a_commit_that_relies_on_this_memory_is_taken(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    assert a.born
    assert a.born == (await living(world, "b")).born
    await a.commit(Commit(url, "ok", counts={"discovered": 2, "duplicate": 2}, relies_on=a.born))
    assert (await a.progress()).counts["duplicate"] == 2


@in_a_world
async def test_a_commit_that_relies_on_a_memory_that_is_no_more_does_nothing(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    relied_on = a.born
    await world.forget()
    commit = Commit(url, "ok", links(a, "child"), counts={"discovered": 2, "duplicate": 2}, relies_on=relied_on)
    with pytest.raises(LedgerForgot):
        await a.commit(commit)
    await a.heartbeat()
    assert a.born != relied_on
    with pytest.raises(LedgerForgot):
        await a.commit(commit)
    assert (await a.progress()).admitted == 0
    await a.commit(replace(commit, counts={}, relies_on=a.born))
    assert (await a.progress()).admitted == 2


# suspects


@in_a_world
async def test_a_url_whose_consumer_died_is_suspect_and_no_other(world):
    a = await living(world, "a")
    in_hand, never_begun, given_back = urls(a, "in hand", "never begun", "given back")
    await a.begin(in_hand)
    await a.begin(given_back)
    await a.release(given_back)
    await world.passes(ALIVE_TTL_S + 1)
    b = await living(world, "b")
    assert [(await b.begin(url)).trials for url in (in_hand, never_begun, given_back)] == [0, None, None]


@in_a_world
async def test_trials_are_on_record_until_the_url_is_cleared_and_counted_once_however_often_they_are_told(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    for number, name in enumerate("bcd"):
        await world.passes(ALIVE_TTL_S + 1)
        ledger = await living(world, name)
        assert (await ledger.begin(url)).trials == number
        await ledger.trial(url, number + 1)
        await ledger.trial(url, number + 1)
        assert (await ledger.begin(url)).trials == number + 1  # as asked by its own holder
    await ledger.cleared(url)
    await ledger.cleared(url)
    assert (await ledger.begin(url)).trials is None


@in_a_world
async def test_a_suspect_that_waits_for_its_host_stays_suspect(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.leave()
    await b.begin(url)
    await b.release(url)
    assert (await b.begin(url)).trials == 0
    await world.passes(SUSPECT_TTL_S + 1)
    b = await living(world, "b")
    assert (await b.begin(url)).trials is None


@in_a_world
async def test_a_url_stays_suspect_though_it_is_taken_up_much_later(world):
    a = await living(world, "a")
    [url] = urls(a, "page")
    await a.begin(url)
    await world.passes(300)
    assert (await (await living(world, "b")).begin(url)).trials == 0


@in_a_world
async def test_a_committed_url_is_no_suspect_and_a_reopened_one_is_cleared(world):
    a, b = await living(world, "a"), await living(world, "b")
    [url] = urls(a, "page")
    await a.begin(url)
    await a.commit(Commit(url, "ok", links(a, "child")))
    await a.leave()
    begun = await b.begin(url)
    assert (begun.verdict, begun.trials) == (Verdict.PUBLISH, None)
    await b.trial(url, 3)
    await b.finish(url)
    await b.reopen(url, outcome="ok", letter="1")
    assert (await b.begin(url)).trials is None


# commit


@in_a_world
async def test_new_links_are_admitted_and_kept_until_they_are_published(world):
    a, b = await living(world, "a"), await living(world, "b")
    [page] = urls(a, "page")
    found = links(a, "x", "y")
    await a.begin(page)
    committed = await a.commit(Commit(page, "ok", found))
    assert committed.outbox == Outbox(page, "ok", tuple(found))
    assert (committed.admitted, committed.duplicate, committed.over_limit) == (2, 0, 0)
    again = await a.begin(page)
    assert again.verdict is Verdict.PUBLISH
    assert (again.outbox.parent, again.outbox.outcome, by_child(again.outbox)) == (page, "ok", dict(found))
    assert (await b.begin(page)).verdict is Verdict.BUSY
    progress = await a.progress()
    assert (progress.admitted, progress.open, progress.outboxes) == (3, 3, 1)
    assert not progress.complete


@in_a_world
async def test_what_the_broker_has_leaves_the_outbox_and_the_rest_is_still_owed(world):
    a = await living(world, "a")
    [page] = urls(a, "page")
    found = links(a, "x", "y", "z")
    await a.begin(page)
    await a.commit(Commit(page, "ok", found))
    for _ in range(2):
        await a.confirmed(page, [found[0][0], found[2][0]])
        assert (await a.begin(page)).outbox == Outbox(page, "ok", (found[1],))
    await a.confirmed(page, [found[1][0]])
    assert (await a.begin(page)).outbox == Outbox(page, "ok", ())
    assert (await a.progress()).outboxes == 1
    assert await a.finish(page)
    await a.confirmed(page, [found[1][0]])
    assert (await a.progress()).outboxes == 0


@in_a_world
async def test_the_first_commit_wins_and_a_repeated_one_returns_what_it_left(world):
    a, b = await living(world, "a"), await living(world, "b")
    [page] = urls(a, "page")
    found = links(a, "x", "y")
    await a.commit(Commit(page, "ok", found, {"filtered:depth": 2, "items": 1}))
    before = await a.progress()
    for ledger, commit in (
        (a, Commit(page, "ok", found, {"filtered:depth": 2, "items": 1})),
        (b, Commit(page, "not_found", links(b, "z"), {"filtered:depth": 7})),
    ):
        again = await ledger.commit(commit)
        assert (again.outbox.outcome, by_child(again.outbox)) == ("ok", dict(found))
        assert (again.admitted, again.duplicate, again.over_limit) == (0, 0, 0)
    assert await a.progress() == before
    assert before.counts == {"adopted": 1, "discovered": 4, "filtered:depth": 2, "items": 1}


@in_a_world
async def test_nothing_new_ends_the_page_in_the_same_step(world):
    a = await living(world, "a")
    await seed(a, "page", "known")
    [page] = urls(a, "page")
    await a.begin(page)
    commit = Commit(page, "ok", links(a, "known", "page"), {"filtered:scope": 1})
    committed = await a.commit(commit)
    assert (committed.outbox, committed.admitted, committed.duplicate) == (None, 0, 2)
    before = await a.progress()
    again = await a.commit(commit)
    assert (again.outbox, again.admitted, again.duplicate) == (None, 0, 0)
    assert (await a.begin(page)).verdict is Verdict.DONE
    assert await a.finish(page)
    assert await a.progress() == before
    assert (before.open, before.outboxes, before.outcomes) == (1, 0, {"ok": 1})


@in_a_world
async def test_a_late_commit_of_a_page_that_is_done_admits_nothing(world):
    a, late = await living(world, "a"), await living(world, "late")
    [page] = urls(a, "page")
    await a.commit(Commit(page, "ok"))
    before = await a.progress()
    committed = await late.commit(Commit(page, "ok", links(a, "new")))
    assert committed.outbox is None
    assert await a.progress() == before


@in_a_world
async def test_what_is_known_already_is_a_duplicate_however_it_is_known(world):
    a = await living(world, "a")
    await seed(a, "page", "admitted", "done")
    page, done = urls(a, "page", "done")
    await a.commit(Commit(done, "ok"))
    committed = await a.commit(Commit(page, "ok", links(a, "admitted", "done", "page", "new", "new")))
    assert by_child(committed.outbox) == dict(links(a, "new"))
    assert (committed.admitted, committed.duplicate) == (1, 4)


@in_a_world
async def test_messages_come_back_as_they_were_given(world):
    a = await living(world, "a")
    page, *children = urls(a, "page", "nul", "empty", "long", "text")
    bodies = [b"\x00\xff\r\n$5", b"", b"x" * 100_000, "größe".encode()]
    messages = list(zip(children, bodies, strict=True))
    await a.commit(Commit(page, "ok", messages))
    assert by_child((await a.begin(page)).outbox) == dict(messages)


@in_a_world
async def test_a_page_may_have_thousands_of_links(world):
    a = await living(world, "a")
    [page] = urls(a, "page")
    many = links(a, *map(str, range(5000)))
    committed = await a.commit(Commit(page, "ok", many))
    assert committed.admitted == 5000
    assert by_child((await a.begin(page)).outbox) == dict(many)
    assert await a.finish(page)
    assert (await a.progress()).open == 5000


# finish


@in_a_world
async def test_finish_ends_the_page_once_however_often_it_is_called(world):
    a, b = await living(world, "a"), await living(world, "b")
    [page] = urls(a, "page")
    await a.begin(page)
    await a.commit(Commit(page, "ok", links(a, "x")))
    assert await a.finish(page)
    before = await a.progress()
    assert await a.finish(page)
    assert await b.finish(page)
    assert await a.progress() == before
    assert (before.admitted, before.open, before.outboxes, before.outcomes) == (2, 1, 0, {"ok": 1})
    assert (await b.begin(page)).verdict is Verdict.DONE


@in_a_world
async def test_finish_says_when_the_commit_is_lost(world):
    a = await living(world, "a")
    unknown, begun = urls(a, "unknown", "begun")
    await a.begin(begun)
    assert not await a.finish(unknown)
    assert not await a.finish(begun)
    assert (await a.begin(begun)).verdict is Verdict.GO
    assert (await a.progress()).outcomes == {}


# seeds


@in_a_world
async def test_a_seed_batch_is_kept_like_links_but_is_no_url_itself(world):
    seeder = await living(world, "seeder")
    batch = seeder.seed_parent(b"one two")
    committed = await seeder.commit(Commit(batch, "seeded", links(seeder, "one", "two")))
    assert by_child(committed.outbox) == dict(links(seeder, "one", "two"))
    assert await seeder.finish(batch)
    assert await seeder.finish(batch)
    progress = await seeder.progress()
    assert (progress.admitted, progress.open, progress.outboxes) == (2, 2, 0)
    assert progress.counts == {"discovered": 2}


@in_a_world
async def test_a_seeder_that_was_killed_and_runs_again_loses_and_doubles_nothing(world):
    killed, again = await living(world, "killed"), await living(world, "again")
    batch = killed.seed_parent(b"one two")
    seeds = Commit(batch, "seeded", links(killed, "one", "two"))
    await killed.commit(seeds)
    left = await again.commit(seeds)
    assert by_child(left.outbox) == dict(seeds.messages)
    assert await again.finish(batch)
    third = await again.commit(seeds)
    assert (third.outbox, third.admitted, third.duplicate) == (None, 0, 2)
    assert (await again.progress()).admitted == 2


# limits and books


@in_a_world
async def test_no_more_urls_are_admitted_than_allowed_whoever_comes_together(world):
    consumers = [await living(world, f"c{i}") for i in range(5)]
    commits = [
        Commit(
            ledger.seed_parent(b"%d %d" % (i, j)),
            "seeded",
            links(ledger, *(f"{i}.{j}.{k}" for k in range(10))),
            max_admitted=37,
        )
        for i, ledger in enumerate(consumers)
        for j in range(4)
    ]
    committed = await asyncio.gather(*(consumers[i // 4].commit(commit) for i, commit in enumerate(commits)))
    progress = await consumers[0].progress()
    assert progress.admitted == progress.open == sum(each.admitted for each in committed) == 37
    assert sum(each.over_limit for each in committed) == progress.counts["filtered:max_pages"] == 200 - 37
    assert progress.counts["discovered"] == 200


@in_a_world
async def test_at_the_limit_a_known_link_is_still_a_duplicate(world):
    a = await living(world, "a")
    await seed(a, "page", "known")
    [page] = urls(a, "page")
    committed = await a.commit(Commit(page, "ok", links(a, "new", "known", "page"), max_admitted=2))
    assert (committed.outbox, committed.duplicate, committed.over_limit) == (None, 2, 1)
    unlimited = await a.commit(Commit(urls(a, "known")[0], "ok", links(a, "new")))
    assert unlimited.admitted == 1


@in_a_world
async def test_every_link_is_accounted_for(world):
    a = await living(world, "a")
    await seed(a, "0", "1")
    for page in range(30):
        [url] = urls(a, str(page))
        await a.begin(url)
        found = links(a, *{str(page * k % 47) for k in range(1, 6)})
        commit = Commit(
            url, "ok", found, {"filtered:depth": page % 3, "filtered:scheme": 1, "items": 4}, max_admitted=40
        )
        if (await a.commit(commit)).outbox:
            await a.finish(url)
    progress = await a.progress()
    counts = Counter(progress.counts)
    filtered = sum(count for what, count in counts.items() if what.startswith("filtered:"))
    assert counts["discovered"] + counts["adopted"] == progress.admitted + counts["duplicate"] + filtered
    assert counts["items"] == 120
    assert progress.outcomes == {"ok": 30}
    assert progress.open == progress.admitted - 30


@in_a_world
async def test_a_crawl_is_complete_when_it_has_begun_and_nothing_is_open(world):
    a = await living(world, "a")
    assert await a.progress() == Progress(0, 0, 0, {})
    assert not (await a.progress()).complete
    await seed(a, "only")
    assert not (await a.progress()).complete
    await a.commit(Commit(urls(a, "only")[0], "ok", links(a, "one more")))
    await a.commit(Commit(urls(a, "one more")[0], "not_found"))
    assert not (await a.progress()).complete
    await a.finish(urls(a, "only")[0])
    progress = await a.progress()
    assert progress.complete
    assert progress.outcomes == {"ok": 1, "not_found": 1}


@in_a_world
async def test_a_crawl_is_not_complete_while_its_seeding_is_not_finished(world):
    seeder, a = await living(world, "seeder"), await living(world, "a")
    await seeder.commit(Commit(seeder.seed_parent(b"batch"), "seeded", links(seeder, "only")))
    await a.commit(Commit(urls(a, "only")[0], "ok"))
    progress = await a.progress()
    assert (progress.open, progress.outboxes, progress.complete) == (0, 1, False)


@in_a_world
async def test_two_groups_each_have_a_memory_of_their_own(world):
    archive = await living(world, "a", LedgerName("mirror", "archive"))
    linkcheck = await living(world, "a", LedgerName("mirror", "linkcheck"))
    await archive.commit(Commit(urls(archive, "page")[0], "ok"))
    assert (await linkcheck.begin(urls(linkcheck, "page")[0])).verdict is Verdict.GO
    assert (await archive.begin(urls(archive, "page")[0])).verdict is Verdict.DONE
    assert (await linkcheck.progress()).outcomes == {}
    assert str(archive.name) == "mirror/archive"


# several consumers


@in_a_world
async def test_of_two_that_begin_together_one_goes(world):
    a, b = await living(world, "a"), await living(world, "b")
    for url in urls(a, *map(str, range(20))):
        verdicts = [begun.verdict for begun in await asyncio.gather(a.begin(url), b.begin(url))]
        assert Counter(verdicts) == {Verdict.GO: 1, Verdict.BUSY: 1}


@in_a_world
async def test_of_two_that_commit_together_one_is_counted(world):
    a, b = await living(world, "a"), await living(world, "b")
    for page in range(10):
        [url] = urls(a, f"page {page}")
        commit = Commit(url, "ok", links(a, f"x {page}", f"y {page}"))
        first, second = await asyncio.gather(a.commit(commit), b.commit(commit))
        assert by_child(first.outbox) == by_child(second.outbox) == dict(commit.messages)
        assert first.admitted + second.admitted == 2
        assert await asyncio.gather(a.finish(url), b.finish(url)) == [True, True]
    progress = await a.progress()
    assert (progress.admitted, progress.open, progress.outcomes) == (30, 20, {"ok": 10})


class Died(Exception):
    """A consumer's end, between two steps."""


async def work(ledger, url, found, broker: Counter, *, dies_after: str = "") -> None:
    """What a consumer does with a delivery that it may have, until it acknowledges or dies."""

    def survives(step: str) -> None:
        if step == dies_after:
            raise Died

    begun = await ledger.begin(url)
    survives("begin")
    outbox = begun.outbox
    if begun.verdict is Verdict.GO:
        broker["fetched"] += 1
        outbox = (await ledger.commit(Commit(url, "ok", found))).outbox
        survives("commit")
    for _, message in outbox.messages if outbox else ():
        broker[message] += 1
        survives("one publish")
    survives("publish")
    if outbox:
        assert await ledger.finish(url)
    survives("finish")


@pytest.mark.parametrize("step", ["begin", "commit", "one publish", "publish", "finish"])
@in_a_world
async def test_death_after_any_step_loses_nothing(world, step):
    a, b = await living(world, "a"), await living(world, "b")
    await seed(a, "page")
    [page] = urls(a, "page")
    found, broker = links(a, "x", "y", "z"), Counter()
    with pytest.raises(Died):
        await work(a, page, found, broker, dies_after=step)
    await world.passes(ALIVE_TTL_S)
    await b.heartbeat()
    await work(b, page, found, broker)
    assert broker["fetched"] == 1
    assert all(broker[message] in {1, 2} for _, message in found)
    progress = await b.progress()
    assert (progress.admitted, progress.open, progress.outboxes, progress.outcomes) == (4, 3, 0, {"ok": 1})
    assert (await b.begin(page)).verdict is Verdict.DONE


@pytest.mark.parametrize("step", ["begin", "commit", "publish", "finish"])
@in_a_world
async def test_death_after_any_step_of_a_page_without_new_links_loses_nothing(world, step):
    a, b = await living(world, "a"), await living(world, "b")
    [page] = urls(a, "page")
    broker = Counter()
    with pytest.raises(Died):
        await work(a, page, links(a, "page"), broker, dies_after=step)
    await world.passes(ALIVE_TTL_S)
    await work(b, page, links(a, "page"), broker)
    assert broker["fetched"] == 1
    assert (await b.progress()).complete


# the sweep


@in_a_world
async def test_an_outbox_of_a_living_committer_is_no_orphan(world):
    a, sweeper = await living(world, "a"), await living(world, "sweeper")
    await a.commit(Commit(urls(a, "page")[0], "ok", links(a, "x")))
    await a.commit(Commit(a.seed_parent(b"seeds"), "seeded", links(a, "y")))
    await world.passes(GRACE_OVER_S)
    await a.heartbeat()
    assert await sweeper.orphans() == []
    assert await a.orphans() == []


@in_a_world
async def test_an_outbox_is_an_orphan_once_its_committer_is_gone_and_its_parent_was_not_redelivered(world):
    a, sweeper = await living(world, "a"), await living(world, "sweeper")
    [page] = urls(a, "page")
    await a.commit(Commit(page, "ok", links(a, "x")))
    await a.leave()
    assert await sweeper.orphans() == []
    await world.passes(GRACE_OVER_S)
    [orphan] = await sweeper.orphans()
    assert (orphan.parent, orphan.outcome, by_child(orphan)) == (page, "ok", dict(links(a, "x")))
    assert await sweeper.finish(orphan.parent)
    assert (await sweeper.begin(page)).verdict is Verdict.DONE
    assert await sweeper.orphans() == []


@in_a_world
async def test_an_orphan_is_leased_to_the_sweeper_that_got_it(world):
    a, sweeper, other = [await living(world, name) for name in ("a", "sweeper", "other")]
    batch = a.seed_parent(b"seeds")
    await a.commit(Commit(batch, "seeded", links(a, "x")))
    await world.passes(ALIVE_TTL_S)
    await sweeper.heartbeat()
    assert [orphan.parent for orphan in await sweeper.orphans()] == [batch]
    assert await other.orphans() == []
    await sweeper.leave()
    assert [orphan.parent for orphan in await other.orphans()] == [batch]


@in_a_world
async def test_an_orphan_whose_sweeper_never_heard_of_it_comes_back(world):
    a, sweeper = await living(world, "a"), await living(world, "sweeper")
    await a.commit(Commit(a.seed_parent(b"seeds"), "seeded", links(a, "x")))
    await world.passes(ALIVE_TTL_S)
    await sweeper.heartbeat()
    lost_answer = await sweeper.orphans()
    await world.passes(61)
    await sweeper.heartbeat()
    assert await sweeper.orphans() == lost_answer


@in_a_world
async def test_orphans_come_oldest_first_and_no_more_than_asked_for(world):
    a, sweeper = await living(world, "a"), await living(world, "sweeper")
    batches = [a.seed_parent(b"%d" % i) for i in range(5)]
    for i, batch in enumerate(batches):
        await a.commit(Commit(batch, "seeded", links(a, str(i))))
        await world.passes(1)
    await world.passes(GRACE_OVER_S)
    await sweeper.heartbeat()
    assert [orphan.parent for orphan in await sweeper.orphans(limit=2)] == batches[:2]
    assert [orphan.parent for orphan in await sweeper.orphans()] == batches[2:]


@in_a_world
async def test_a_sweep_gets_huge_outboxes_one_after_the_other(world):
    a, sweeper = await living(world, "a"), await living(world, "sweeper")
    batches = [a.seed_parent(b"%d" % i) for i in range(3)]
    for i, batch in enumerate(batches):
        await a.commit(Commit(batch, "seeded", links(a, *(f"{i}/{n}" for n in range(2500)))))
        await world.passes(1)
    await world.passes(2 * GRACE_OVER_S)
    await sweeper.heartbeat()
    for batch in batches:
        assert [(orphan.parent, len(orphan.messages)) for orphan in await sweeper.orphans()] == [(batch, 2500)]


# dead letters: reopen and give up


async def failed(ledger, *names):
    """URLs that have ended as failed_timeout."""
    await seed(ledger, *names)
    pages = urls(ledger, *names)
    for page in pages:
        await ledger.begin(page)
        await ledger.commit(Commit(page, "failed_timeout"))
    return pages


async def books(ledger):
    progress = await ledger.progress()
    return progress.open, progress.outcomes


@in_a_world
async def test_a_reopened_url_is_open_again_and_may_be_fetched(world):
    a = await living(world, "a")
    first, second = await failed(a, "first", "second")
    assert await a.reopen(first, outcome="failed_timeout", letter="1")
    assert await books(a) == (1, {"failed_timeout": 1})
    assert not (await a.progress()).complete
    assert (await a.begin(first)).verdict is Verdict.GO
    assert (await a.begin(second)).verdict is Verdict.DONE
    await a.commit(Commit(first, "ok"))
    assert await books(a) == (0, {"failed_timeout": 1, "ok": 1})
    progress = await a.progress()
    assert (progress.admitted, progress.complete) == (2, True)


@in_a_world
async def test_reopening_an_open_url_changes_nothing(world):
    a, b = await living(world, "a"), await living(world, "b")
    [page] = await failed(a, "page")
    for _ in range(3):
        assert await b.reopen(page, outcome="failed_timeout", letter="1")
    assert await b.reopen(page, outcome="failed_timeout", letter="2")
    progress = await a.progress()
    assert (progress.admitted, progress.open, progress.outcomes) == (1, 1, {})
    assert await a.finish(page) is False


@in_a_world
async def test_a_letter_reopens_its_url_once(world):
    a = await living(world, "a")
    [page] = await failed(a, "page")
    await a.reopen(page, outcome="failed_timeout", letter="1")
    await a.begin(page)
    await a.commit(Commit(page, "ok"))
    assert not await a.reopen(page, outcome="failed_timeout", letter="1")
    assert await books(a) == (0, {"ok": 1})


@in_a_world
async def test_the_next_letter_of_a_url_reopens_it_again(world):
    a = await living(world, "a")
    [page] = await failed(a, "page")
    await a.reopen(page, outcome="failed_timeout", letter="1")
    await a.begin(page)
    await a.commit(Commit(page, "failed_dns"))
    assert await a.reopen(page, outcome="failed_dns", letter="2")
    assert await books(a) == (1, {})


@in_a_world
async def test_which_letter_reopened_a_url_is_forgotten_after_a_while(world):
    a = await living(world, "a")
    [page] = await failed(a, "page")
    await a.reopen(page, outcome="failed_timeout", letter="1")
    await a.begin(page)
    await a.commit(Commit(page, "failed_timeout"))
    await world.passes(REOPENED_TTL_S - 1)
    assert not await a.reopen(page, outcome="failed_timeout", letter="1")
    await world.passes(2)
    assert await a.reopen(page, outcome="failed_timeout", letter="1")


@in_a_world
async def test_a_letter_that_knows_no_outcome_reopens_nothing_that_is_done(world):
    a = await living(world, "a")
    [page] = await failed(a, "page")
    assert not await a.reopen(page, outcome="", letter="1")
    [stuck] = urls(a, "stuck")
    await a.begin(stuck)
    assert await a.reopen(stuck, outcome="", letter="1")


@in_a_world
async def test_reopening_an_unknown_url_admits_it(world):
    a = await living(world, "a")
    [page] = urls(a, "page")
    assert await a.reopen(page, outcome="failed_timeout", letter="1")
    progress = await a.progress()
    assert (progress.admitted, progress.open, progress.counts) == (1, 1, {"adopted": 1})


@in_a_world
async def test_an_open_url_that_nobody_holds_can_be_given_up(world):
    a, b = await living(world, "a"), await living(world, "b")
    await seed(a, "page")
    [page] = urls(a, "page")
    await a.begin(page)
    assert not await b.give_up(page, "dropped")
    await a.leave()
    assert await b.give_up(page, "dropped")
    assert not await b.give_up(page, "dropped")
    assert await books(b) == (0, {"dropped": 1})
    assert (await b.begin(page)).verdict is Verdict.DONE


@in_a_world
async def test_what_is_done_or_unknown_or_only_left_to_publish_is_not_given_up(world):
    a = await living(world, "a")
    [done] = await failed(a, "done")
    unknown, parent = urls(a, "unknown", "parent")
    await a.commit(Commit(parent, "ok", links(a, "x")))
    await a.leave()
    assert [await a.give_up(url, "dropped") for url in (done, unknown, parent)] == [False] * 3
    assert (await a.progress()).admitted == 3


@in_a_world
async def test_dropping_a_letter_gives_up_only_what_this_letter_had_reopened(world):
    a = await living(world, "a")
    [page] = await failed(a, "page")
    await a.reopen(page, outcome="failed_timeout", letter="1")
    assert not await a.give_up(page, "dropped", letter="2")
    assert await a.give_up(page, "dropped", letter="1")
    assert await books(a) == (0, {"dropped": 1})


@in_a_world
async def test_a_letter_that_admits_an_unknown_url_has_its_turn_once_too(world):
    a = await living(world, "a")
    [page] = urls(a, "page")
    assert await a.reopen(page, outcome="failed_timeout", letter="1")
    await a.begin(page)
    await a.commit(Commit(page, "ok"))
    assert not await a.reopen(page, outcome="failed_timeout", letter="1")


# opening and closing


@in_a_world
async def test_an_open_ledger_lives_and_a_closed_one_holds_nothing(world):
    b = await living(world, "b")
    [url] = urls(b, "page")
    async with await world.ledger("a") as a:
        assert (await a.begin(url)).verdict is Verdict.GO
        assert (await b.begin(url)).verdict is Verdict.BUSY
    assert (await b.begin(url)).verdict is Verdict.GO


@in_a_world
async def test_all_consumers_of_a_crawl_see_the_same_fingerprints(world):
    a, b = await world.ledger("a"), await world.ledger("b")
    assert a.fingerprint("https://example.org/") == b.fingerprint("https://example.org/")
    assert a.seed_parent(b"seeds") == b.seed_parent(b"seeds")
    assert a.name == b.name == NAME


# standing


@in_a_world
async def test_only_open_urls_that_nobody_is_at_work_on_stand_free(world):
    a, b = await living(world, "a"), await living(world, "b")
    await seed(a, "free", "leased", "fetched", "done", "parked")
    free, leased, fetched, done, parked, never = every = urls(
        a, "free", "leased", "fetched", "done", "parked", "never"
    )  # fmt: skip
    await a.begin(leased)
    await a.begin(parked)
    await a.release(parked)
    await a.commit(Commit(fetched, "ok", links(a, "child")))
    await a.commit(Commit(done, "ok"))
    told = dict(zip(every, await b.standing(every), strict=True))
    assert told == {
        free: Standing.FREE,
        leased: Standing.HELD,
        fetched: Standing.HELD,
        done: Standing.DONE,
        parked: Standing.FREE,
        never: Standing.UNKNOWN,
    }


@in_a_world
async def test_a_url_stands_free_again_when_its_consumer_has_died_unless_it_has_an_outbox(world):
    dead = await living(world, "dead")
    await seed(dead, "leased", "fetched")
    leased, fetched = both = urls(dead, "leased", "fetched")
    await dead.begin(leased)
    await dead.commit(Commit(fetched, "ok", links(dead, "child")))
    await world.passes(ALIVE_TTL_S + 1)
    assert await (await living(world, "other")).standing(both) == [Standing.FREE, Standing.HELD]


@in_a_world
async def test_asking_how_urls_stand_changes_nothing(world):
    ledger = await living(world, "a")
    await seed(ledger, "page")
    page, never = urls(ledger, "page", "never")
    before = await ledger.progress()
    assert await ledger.standing([page, never, page]) == [Standing.FREE, Standing.UNKNOWN, Standing.FREE]
    assert await ledger.standing([]) == []
    assert await ledger.progress() == before
    assert (await ledger.begin(page)).verdict is Verdict.GO


# the finale


async def ended(world, consumer, *names):
    """A ledger whose URLs have all ended."""
    ledger = await living(world, consumer)
    await seed(ledger, *names)
    for url in urls(ledger, *names):
        await ledger.begin(url)
        await ledger.commit(Commit(url, "ok"))
    return ledger


@in_a_world
async def test_a_crawl_that_is_not_complete_has_no_finale(world):
    a = await living(world, "a")
    assert await a.claim_finale("f") == Claim(Finale.OPEN)
    await seed(a, "page")
    assert await a.claim_finale("f") == Claim(Finale.OPEN)
    [url] = urls(a, "page")
    await a.begin(url)
    await a.commit(Commit(url, "ok", links(a, "child")))
    await a.finish(url)
    [child] = urls(a, "child")
    await a.begin(child)
    await a.commit(Commit(child, "ok"))
    assert await a.claim_finale("f") == Claim(Finale.MINE, 2)


@in_a_world
async def test_a_finale_belongs_to_the_first_who_claims_it_and_is_over_when_he_says_so(world):
    a, b = await ended(world, "a", "page"), await living(world, "b")
    claim = await a.claim_finale("f")
    assert claim == Claim(Finale.MINE, 1)
    assert await b.claim_finale("f") == Claim(Finale.THEIRS)
    assert await a.claim_finale("f") == claim, "an answer that was lost is asked for again"
    assert (await b.claim_finale("g")).finale is Finale.MINE, "another finale is another claim"
    await a.finale_over("f", claim)
    for ledger in (a, b):
        assert await ledger.claim_finale("f") == Claim(Finale.OVER)


@in_a_world
async def test_a_finale_whose_consumer_died_or_left_is_the_next_one_s(world):
    a, b = await ended(world, "a", "page"), await living(world, "b")
    await a.claim_finale("f")
    await world.passes(ALIVE_TTL_S + 1)
    await b.heartbeat()
    assert await b.claim_finale("f") == Claim(Finale.MINE, 1)
    await b.leave()
    await a.heartbeat()
    assert await a.claim_finale("f") == Claim(Finale.MINE, 1)


@in_a_world
async def test_new_urls_after_the_end_bring_another_finale_which_is_anybody_s(world):
    a, b = await ended(world, "a", "page"), await living(world, "b")
    await a.finale_over("f", await a.claim_finale("f"))
    await seed(a, "more")
    assert await a.claim_finale("f") == Claim(Finale.OPEN)
    [url] = urls(a, "more")
    await a.begin(url)
    await a.commit(Commit(url, "ok"))
    assert await b.claim_finale("f") == Claim(Finale.MINE, 2)


@in_a_world
async def test_a_crawl_whose_seeder_is_not_done_has_no_finale(world):
    """What it has left in its outbox is published by somebody, and is one of the crawl's messages."""
    a = await living(world, "a")
    parent = a.seed_parent(b"page")
    await a.commit(Commit(parent, "seeded", links(a, "page")))
    [url] = urls(a, "page")
    await a.begin(url)
    await a.commit(Commit(url, "ok"))
    assert await a.claim_finale("f") == Claim(Finale.OPEN)
    await a.finish(parent)
    assert await a.claim_finale("f") == Claim(Finale.MINE, 1)


@in_a_world
async def test_urls_that_come_while_the_finale_runs_bring_another(world):
    a = await ended(world, "a", "page")
    claim = await a.claim_finale("f")
    await ended(world, "a", "more")
    await a.finale_over("f", claim)
    assert await a.claim_finale("f") == Claim(Finale.MINE, 2)
