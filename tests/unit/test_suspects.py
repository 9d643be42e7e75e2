"""Who fetches together, and who alone."""

import asyncio

import pytest

from crawl_consumer.suspects import Company


class Visitors:
    """Tasks that come into a company and stay until they are told to leave."""

    def __init__(self):
        self.company = Company()
        self.inside = []
        self._leave = {}
        self._tasks = {}

    async def come(self, name, *, alone=False):
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, alone=alone))
        await self._settle()

    async def leaves(self, name):
        self._leave[name].set()
        await self._tasks.pop(name)
        await self._settle()

    async def gives_up(self, name):
        task = self._tasks.pop(name)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await self._settle()

    async def _stay(self, name, *, alone):
        async with self.company.joined(alone=alone):
            self.inside.append(name)
            try:
                await self._leave[name].wait()
            finally:
                self.inside.remove(name)

    async def _settle(self):
        for _ in range(5):
            await asyncio.sleep(0)


def played(story):
    def test():
        asyncio.run(story(Visitors()))

    test.__name__ = story.__name__
    return test


@played
async def test_many_fetch_together(here):
    await here.come("a")
    await here.come("b")
    assert here.inside == ["a", "b"]


@played
async def test_one_who_must_be_alone_waits_for_the_others_and_those_who_come_later_wait_for_him(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    await here.come("b")
    assert here.inside == ["a"]
    await here.leaves("a")
    assert here.inside == ["suspect"]
    await here.leaves("suspect")
    assert here.inside == ["b"]


@played
async def test_suspects_go_one_by_one_and_let_others_in_between(here):
    await here.come("s1", alone=True)
    await here.come("a")
    await here.come("s2", alone=True)
    await here.come("b")
    turns = [list(here.inside)]
    for name in ("s1", "a", "s2"):
        await here.leaves(name)
        turns.append(list(here.inside))
    assert turns == [["s1"], ["a"], ["s2"], ["b"]]


@played
async def test_who_gives_up_waiting_holds_nobody_up(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    await here.come("b")
    await here.gives_up("suspect")
    assert here.inside == ["a", "b"]
    await here.gives_up("a")
    await here.come("alone", alone=True)
    await here.leaves("b")
    assert here.inside == ["alone"]


@played
async def test_who_is_let_in_and_called_off_at_once_leaves_no_ghost(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    here._leave["a"].set()
    while here.inside:
        await asyncio.sleep(0)
    here._tasks["suspect"].cancel()  # may have its turn by now, but has not run since
    with pytest.raises(asyncio.CancelledError):
        await here._tasks["suspect"]
    await here.come("b", alone=True)
    assert here.inside == ["b"]
