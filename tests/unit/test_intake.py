import asyncio

import pytest

from crawl_consumer.intake import Intake, matching_queues
from crawl_producer.errors import UnknownName

QUEUES = ("news.front", "news.articles", "docs.pages", "docs.api.v2")


@pytest.mark.parametrize(
    ("patterns", "matched"),
    [
        (["news.*"], ("news.front", "news.articles")),
        (["docs.*"], ("docs.pages",)),
        (["docs.#"], ("docs.pages", "docs.api.v2")),
        (["#"], QUEUES),
        (["*.pages", "docs.*"], ("docs.pages",)),
        (["docs.api.v2"], ("docs.api.v2",)),
    ],
)
def test_a_pattern_is_a_topic_over_queue_names(patterns, matched):
    assert matching_queues(patterns, QUEUES) == matched


def test_no_match_is_an_error_that_lists_the_queues():
    with pytest.raises(UnknownName) as unknown:
        matching_queues(["docs.*", "new.*"], QUEUES)
    assert "'new.*'" in str(unknown.value)
    assert "news.front, news.articles" in unknown.value.remedy


class FakeBroker:
    """Only what an intake needs: it hands deliveries to whoever consumes."""

    def __init__(self):
        self.deliver = {}
        self.prefetch = {}
        self.cancelled = []

    async def consume(self, queue, *, prefetch, deliver):
        self.deliver[queue], self.prefetch[queue] = deliver, prefetch
        return FakeSubscription(queue, self.cancelled)


class FakeSubscription:
    def __init__(self, queue, cancelled):
        self.queue, self._cancelled = queue, cancelled

    async def cancel(self):
        self._cancelled.append(self.queue)


class FakeDelivery:
    def __init__(self, name, *, stale=False):
        self.name, self.stale = name, stale


def test_parked_urls_come_first_and_stale_ones_not_at_all():
    async def main():
        broker = FakeBroker()
        async with Intake(broker, ["q"], slots=4) as intake:
            broker.deliver["q"](FakeDelivery("fresh"))
            broker.deliver["q"](FakeDelivery("lost", stale=True))
            broker.deliver["q.due"](FakeDelivery("due"))
            return [(await intake.next()).name for _ in range(2)]

    assert asyncio.run(main()) == ["due", "fresh"]


def test_one_budget_is_split_over_the_queues():
    async def main():
        broker = FakeBroker()
        async with Intake(broker, ["a", "b", "c", "d"], slots=32):
            return broker.prefetch

    assert asyncio.run(main()) == dict.fromkeys([name for queue in "abcd" for name in (f"{queue}.due", queue)], 16)


def test_stop_wakes_every_waiting_slot_and_cancels_once():
    async def main():
        broker = FakeBroker()
        async with Intake(broker, ["q"], slots=3) as intake:
            slots = [asyncio.create_task(intake.next()) for _ in range(3)]
            await asyncio.sleep(0)
            await intake.stop()
            ends = await asyncio.gather(*slots)
        return ends, broker.cancelled

    assert asyncio.run(main()) == ([None, None, None], ["q.due", "q"])
