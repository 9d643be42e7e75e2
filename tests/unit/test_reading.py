import asyncio
import threading

import pytest

from crawl_producer.reading import in_thread


def collected(items, ahead=2):
    async def main():
        return [item async for item in in_thread(iter(items), ahead=ahead)]

    return asyncio.run(main())


def test_all_items_arrive_in_order():
    assert collected(range(100)) == list(range(100))


def test_what_the_iterator_raises_is_raised_after_what_came_before():
    def broken():
        yield 1
        raise OSError("torn")

    async def main():
        stream = in_thread(broken(), ahead=1)
        assert await anext(stream) == 1
        with pytest.raises(OSError, match="torn"):
            await anext(stream)

    asyncio.run(main())


def test_no_more_is_read_than_is_wanted_soon():
    read = []

    def items():
        for n in range(100):
            read.append(n)
            yield n

    async def main():
        stream = in_thread(items(), ahead=3)
        assert await anext(stream) == 0
        await stream.aclose()

    asyncio.run(main())
    assert len(read) <= 6


def test_a_reader_that_never_returns_holds_nobody_up():
    forever = threading.Event()

    def stalled():
        yield 1
        forever.wait()

    async def main():
        async for item in in_thread(stalled(), ahead=2):
            return item
        return None

    try:
        assert asyncio.run(main()) == 1
    finally:
        forever.set()
