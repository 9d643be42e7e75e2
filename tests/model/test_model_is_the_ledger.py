"""The model's books and the real ledgers, asked the same at random: they give the same answers."""

import random
from functools import partial

import pytest

from crawl_dedup import Commit
from ledger_worlds import memory_world, redis_world
from model import books as model
from model.flaws import NONE
from stories import in_a_world

URLS, CONSUMERS, SEEDING = "abc", ("A", "B"), "s.1"
#: Longer than a heartbeat holds, and than an outbox belongs to its committer alone; far shorter than a lease.
PAUSE_S = 20.0
STEPS = 60


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_world(request):
    if request.param == "memory":
        return memory_world
    return partial(redis_world, request.getfixturevalue("fresh_redis"))


class Both:
    """One model, one ledger as two consumers see it; each method asks both and compares."""

    def __init__(self, world, ledgers, seed):
        self.world, self.ledgers = world, ledgers
        self.random = random.Random(seed)
        self.books, self.beating = model.Books(), frozenset(CONSUMERS)
        any_ledger = ledgers["A"]
        self.real = {url: any_ledger.fingerprint(f"https://example.org/{url}") for url in URLS}
        self.real[SEEDING] = any_ledger.seed_parent(b"one batch")
        self.ours = {fingerprint: url for url, fingerprint in self.real.items()}

    def some(self, of):
        return frozenset(name for name in of if self.random.random() < 0.5)

    def children(self, outbox):
        return {self.ours[child] for child, _ in outbox.messages} if outbox else set()

    async def begin(self, me):
        url, attempt = self.random.choice(URLS), self.random.randrange(3)
        answer = model.begin(self.books, url, me, self.beating, NONE, attempt)
        begun = await self.ledgers[me].begin(self.real[url], attempt=attempt)
        self.books = answer.books
        assert (begun.verdict.value, self.children(begun.outbox)) == (answer.word, answer.children)

    async def commit(self, me):
        parent, links = self.random.choice([*URLS, SEEDING]), self.some(URLS)
        answer = model.commit(self.books, parent, me, links, NONE)
        messages = [(self.real[child], child.encode()) for child in sorted(links)]
        committed = await self.ledgers[me].commit(Commit(self.real[parent], "ok", messages))
        self.books = answer.books
        assert (committed.outbox is not None) == (answer.word in ("new", "kept"))
        assert self.children(committed.outbox) == answer.children

    async def finish(self, me):
        parent = self.random.choice([*URLS, SEEDING])
        answer = model.finish(self.books, parent, frozenset(), NONE)
        assert await self.ledgers[me].finish(self.real[parent]) == (answer.word == "finished")
        self.books = answer.books

    async def confirmed(self, me):
        parent, children = self.random.choice([*URLS, SEEDING]), self.some(URLS)
        self.books = model.confirmed(self.books, parent, children, NONE)
        await self.ledgers[me].confirmed(self.real[parent], [self.real[child] for child in children])

    async def release(self, me):
        url, attempt = self.random.choice(URLS), self.random.randrange(3)
        self.books = model.release(self.books, url, me, attempt)
        await self.ledgers[me].release(self.real[url], next_attempt=attempt)

    async def restart(self, me):
        urls = self.some(URLS)
        self.books = model.restart(self.books, urls)
        await self.ledgers[me].restart([self.real[url] for url in urls])

    async def time_passes(self, me):
        """The sweep follows at once, because the model's outboxes have no age; its lease is given back."""
        await self.world.passes(PAUSE_S)
        self.beating = self.some(CONSUMERS) | {me}
        for name in self.beating:
            await self.ledgers[name].heartbeat()
        left = {parent for parent, _ in self.books.outboxes if not self.books.holder(parent, self.beating)}
        orphans = await self.ledgers[me].orphans(limit=len(self.real))
        assert {self.ours[outbox.parent] for outbox in orphans} == left
        for outbox in orphans:
            answer = model.orphan(self.books, self.ours[outbox.parent], me)
            assert self.children(outbox) == answer.children
            self.books = model.release(answer.books, self.ours[outbox.parent], me)
            await self.ledgers[me].release(outbox.parent)

    async def same_books(self):
        progress = await self.ledgers["A"].progress()
        assert (progress.open, progress.outboxes) == (len(self.books.admitted), len(self.books.outboxes))
        assert progress.complete == self.books.complete


@pytest.mark.parametrize("seed", range(8))
@in_a_world
async def test_the_model_and_the_ledger_answer_alike(world, seed):
    ledgers = {name: await world.ledger(name) for name in CONSUMERS}
    for ledger in ledgers.values():
        await ledger.heartbeat()
    both = Both(world, ledgers, seed)
    calls = [both.begin, both.begin, both.commit, both.finish, both.confirmed, both.release, both.time_passes]
    calls += [both.release, both.restart]
    for _ in range(STEPS):
        await both.random.choice(calls)(both.random.choice(CONSUMERS))
        await both.same_books()
