"""Confirms and returns: which message is meant, in whatever order and bundle the broker speaks."""

import asyncio

import pytest

from crawl_producer.amqp.confirms import Batch, Confirms, Entry
from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishRefused, TopologyMissing, Unconfirmed


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        yield runner


def confirms_of(runner, *messages):
    """Confirms with these messages in flight, and the entries in order of publication."""

    async def build():
        batch = Batch(len(messages))
        return [Entry(message, batch, place) for place, message in enumerate(messages)]

    entries = runner.run(build())
    confirms = Confirms()
    for entry in entries:
        confirms.sent(entry)
    return confirms, entries


def numbered(count):
    return [Outgoing("x", "k", b"", str(n)) for n in range(1, count + 1)]


def test_tags_begin_at_one_and_single_confirms_come_in_any_order(loop):
    confirms, entries = confirms_of(loop, *numbered(3))
    assert confirms.settled(2, multiple=False) == [entries[1]]
    assert confirms.settled(1, multiple=False) == [entries[0]]
    assert confirms.oldest is entries[2]
    assert confirms.settled(3, multiple=False) == [entries[2]]
    assert len(confirms) == 0
    assert confirms.oldest is None


def test_a_multiple_confirm_covers_all_up_to_its_tag_that_are_still_open(loop):
    confirms, entries = confirms_of(loop, *numbered(5))
    confirms.settled(2, multiple=False)
    assert confirms.settled(4, multiple=True) == [entries[0], entries[2], entries[3]]
    assert list(confirms) == [entries[4]]


def test_a_multiple_confirm_of_tag_zero_covers_everything(loop):
    confirms, entries = confirms_of(loop, *numbered(3))
    assert confirms.settled(0, multiple=True) == entries


def test_a_repeated_or_unknown_confirm_means_nothing(loop):
    confirms, entries = confirms_of(loop, *numbered(2))
    confirms.settled(1, multiple=False)
    assert confirms.settled(1, multiple=False) == []
    assert confirms.settled(9, multiple=False) == []
    assert confirms.settled(1, multiple=True) == []
    assert list(confirms) == [entries[1]]


def test_a_return_marks_its_message_and_the_confirm_brings_it_out(loop):
    confirms, entries = confirms_of(loop, *numbered(3))
    assert confirms.returned("x", "k", "2", "NO_ROUTE")
    assert [entry.returned for entry in confirms.settled(3, multiple=True)] == [None, "NO_ROUTE", None]
    assert entries[1].returned == "NO_ROUTE"


def test_returns_of_one_id_in_flight_twice_are_told_apart_by_key_and_by_order(loop):
    same = [Outgoing("x", key, b"", "same") for key in ("good", "bad", "good", "bad")]
    confirms, entries = confirms_of(loop, *same)
    assert confirms.returned("x", "bad", "same", "first")
    assert confirms.returned("x", "bad", "same", "second")
    assert not confirms.returned("x", "bad", "same", "third")
    assert [entry.returned for entry in entries] == [None, "first", None, "second"]


@pytest.mark.parametrize("identity", [("y", "k", "1"), ("x", "l", "1"), ("x", "k", "9"), ("x", "k", None)])
def test_a_return_of_something_else_marks_nothing(loop, identity):
    confirms, entries = confirms_of(loop, *numbered(1))
    assert not confirms.returned(*identity, "NO_ROUTE")
    assert entries[0].returned is None


def test_a_batch_is_done_when_its_last_message_is_settled(loop):
    async def act():
        batch = Batch(3)
        refused, unknown = PublishRefused("full"), Unconfirmed("lost")
        batch.settle(2, unknown)
        batch.settle(0, refused)
        assert not batch.done.done()
        batch.settle(1, None)
        await batch.done
        assert batch.results() == [refused, None, unknown]

    loop.run(act())


def test_what_concerns_more_than_one_message_is_raised_for_the_batch(loop):
    async def act():
        batch = Batch(2)
        batch.settle(0, Unconfirmed("lost"))
        batch.settle(1, TopologyMissing("no exchange"))
        with pytest.raises(TopologyMissing):
            batch.results()

    loop.run(act())


def test_settling_a_cancelled_batch_is_harmless(loop):
    async def act():
        batch = Batch(1)
        entry = Entry(*numbered(1), batch, 0)
        assert not entry.unwanted
        batch.done.cancel()
        assert entry.unwanted
        entry.settle(None)

    loop.run(act())
