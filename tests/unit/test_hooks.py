"""Hooks: when a spider is told of what, how often, and what happens when a hook raises."""

import asyncio

import pytest

from crawl_consumer import worker
from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spider import Finished, Spider
from small_world import HOME, World, html


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(worker, "FINALE_POLL_S", 0.01)
    monkeypatch.setattr(worker, "COMPLETION_POLL_S", 0.01)


class Telling(Spider):
    """Writes down all that it is told."""

    name = "telling"

    def __init__(self):
        self.told = []

    def on_start(self):
        self.told.append("start")

    def on_fetched(self, page):
        self.told.append(("fetched", page.url.removeprefix(HOME), page.status))

    def on_item(self, page, item):
        self.told.append(("item", page.url.removeprefix(HOME), item.title))

    async def on_retry(self, failure, delay_s):
        assert 0 < delay_s < 1
        self.told.append(("retry", failure.url.removeprefix(HOME), failure.reason, failure.status, failure.attempts))

    async def on_failure(self, failure):
        assert failure.parent == HOME
        self.told.append(("failure", failure.url.removeprefix(HOME), failure.outcome, failure.status, failure.attempts))

    async def on_finish(self, finished):
        await asyncio.sleep(0)
        self.told.append(finished)


PAGES = {
    HOME: html("a", "moved", title="home"),
    HOME + "a": (503, {}, b""),
    HOME + "moved": (301, {"location": "/b"}, b""),
    HOME + "b": html(title="b"),
}


def test_a_spider_is_told_of_every_event():
    async def main():
        async with World(PAGES) as world:
            await world.seed(HOME)
            await world.crawl(spider=(spider := Telling()))
            return spider.told

    told = asyncio.run(main())
    assert told[:3] == ["start", ("fetched", "", 200), ("item", "", "home")]
    assert sorted(told[3:-1]) == [
        ("failure", "a", "failed_http_503", 503, 2),
        ("fetched", "a", 503),
        ("fetched", "a", 503),
        ("fetched", "b", 200),
        ("fetched", "moved", 301),
        ("item", "b", "b"),
        ("retry", "a", "http_503", 503, 1),
    ]
    finished = told[-1]
    assert (finished.crawl, finished.group, finished.admitted) == ("c", "main", 4)
    assert finished.outcomes == {"ok": 2, "redirect": 1, "failed_http_503": 1}


@pytest.mark.parametrize("hook", ["on_fetched", "on_item"])
def test_a_page_whose_hook_raises_is_a_dead_letter_with_its_place(hook):
    def raising(self, *_):
        raise KeyError("no")

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            await world.crawl(spider=type("Made", (Spider,), {hook: raising})())
            assert (await world.progress()).outcomes == {"failed_spider": 1}
            return await world.dead()

    ((reason, _, _),) = asyncio.run(main())
    assert f"Made.{hook} at {__file__}:{raising.__code__.co_firstlineno + 1}: KeyError: 'no'" in reason


@pytest.mark.parametrize(
    ("hook", "outcome"), [("on_fetched", "failed_spider"), ("on_item", "failed_spider"), ("on_finish", "ok")]
)
def test_a_hook_that_awaits_a_cancelled_task_of_its_own_does_not_stop_the_crawl(hook, outcome):
    async def awaiting(self, *_):
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task

    async def main():
        async with asyncio.timeout(20), World({HOME: html()}) as world:
            await world.seed(HOME)
            await world.crawl(spider=type("Made", (Spider,), {hook: awaiting})(), concurrency=1)
            assert (await world.progress()).outcomes == {outcome: 1}

    asyncio.run(main())


def test_nothing_is_kept_of_a_page_one_of_whose_items_a_hook_does_not_take():
    def parse(self, page):
        yield from ({"n": n} for n in range(3))

    def on_item(self, page, item):
        return 1 / (2 - item["n"])

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            await world.crawl(spider=type("Made", (Spider,), {"parse": parse, "on_item": on_item})())
            assert (await world.progress()).outcomes == {"failed_spider": 1}
            assert world.sink.records == []

    asyncio.run(main())


@pytest.mark.parametrize("hook", ["on_retry", "on_failure", "on_finish"])
def test_other_hooks_that_raise_change_nothing(hook, caplog):
    async def raising(self, *_):
        raise KeyError("no")

    async def main():
        async with World({HOME: (500, {}, b"")}) as world:
            await world.seed(HOME)
            await world.crawl(spider=type("Made", (Spider,), {hook: raising})())
            assert (await world.progress()).outcomes == {"failed_http_500": 1}

    asyncio.run(main())
    assert f"{hook} of spider Made raised; the crawl goes on" in caplog.text


def test_an_on_start_that_raises_ends_the_process_before_anything_is_fetched():
    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            spider = type("Made", (Spider,), {"on_start": lambda self: 1 / 0})()
            with pytest.raises(SpiderInvalid, match="on_start of Made raised ZeroDivisionError: "):
                await world.crawl(spider=spider)
            assert world.web.fetched == []

    asyncio.run(main())


def finishes(told):
    return [thing for thing in told if isinstance(thing, Finished)]


def test_of_many_processes_one_is_told_of_the_end():
    async def main():
        pages = {HOME: html(*map(str, range(30))), **{f"{HOME}{n}": html() for n in range(30)}}
        async with World(pages) as world:
            await world.seed(HOME)
            spiders = [Telling() for _ in range(5)]
            await asyncio.gather(*(world.crawl(f"c{n}", spider=spider) for n, spider in enumerate(spiders)))
            return [finishes(spider.told) for spider in spiders]

    told = asyncio.run(main())
    assert [len(each) for each in sorted(told, key=len)] == [0, 0, 0, 0, 1]
    assert [finished.admitted for each in told for finished in each] == [31]


def test_a_process_that_stays_is_told_too_and_again_when_the_crawl_has_got_more():
    async def main():
        async with World({HOME: html(), HOME + "more": html()}) as world:
            ends = asyncio.Queue()
            kind = type("Staying", (Spider,), {"on_finish": lambda self, finished: ends.put_nowait(finished.admitted)})
            staying = asyncio.create_task(world.crawl(spider=kind(), until_done=False))
            async with asyncio.timeout(20):
                await world.seed(HOME)
                assert await ends.get() == 1
                await world.seed(HOME + "more")
                assert await ends.get() == 2
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)

    asyncio.run(main())


def test_if_it_ends_while_it_is_told_the_next_one_is_told():
    told = []

    class Slow(Spider):
        name = "slow"

        async def on_finish(self, finished):
            told.append("begun")
            await asyncio.Event().wait()

    class Quick(Spider):
        name = "slow"

        def on_finish(self, finished):
            told.append("done")

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            first = asyncio.create_task(world.crawl("first", spider=Slow()))
            async with asyncio.timeout(20):
                while not told:
                    await asyncio.sleep(0.001)
                second = asyncio.create_task(world.crawl("second", spider=Quick()))
                done, _ = await asyncio.wait([second], timeout=0.2)
                assert not done, "whoever is told elsewhere is waited for"
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                await second
                await world.crawl("third", spider=Quick())

    asyncio.run(main())
    assert told == ["begun", "done"]
