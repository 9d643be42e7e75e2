"""Whoever joins a crawl must have the canonical rules that it was begun under; a changed file is refused in words."""

import asyncio

import pytest

from crawl_dedup import CrawlMismatch, open_redis
from crawl_producer import opening
from small_world import topology


async def join(redis, **canonical):
    rules = topology(canonical=canonical)
    async with opening.ledgers(redis, rules, "c", ["main"], consumer="tests") as (ledger,):
        return ledger.pinned.canonicaliser


def with_redis(url, story):
    async def play():
        async with await open_redis(url, name="tests") as redis:
            return await story(redis)

    return asyncio.run(play())


def test_a_crawl_that_was_begun_without_rules_takes_none_later(fresh_redis):
    async def story(redis):
        assert await join(redis) == "1"
        with pytest.raises(CrawlMismatch, match=r"begun with canonicaliser 1, not 1\+tracking\.1\+sorted") as caught:
            await join(redis, drop_tracking=True, sort_query=True)
        assert "canonical: rules of exchanges.yaml" in caught.value.remedy
        assert "crawl-forget c" in caught.value.remedy
        assert await join(redis) == "1"

    with_redis(fresh_redis, story)


def test_and_one_with_rules_keeps_them(fresh_redis):
    async def story(redis):
        rules = {"drop_parameters": ["b", "a"], "drop_session_ids": True}
        assert await join(redis, **rules) == "1+session_ids.1+drop(a,b)"
        assert await join(redis, **rules | {"drop_parameters": ["A", "b", "b"]}) == "1+session_ids.1+drop(a,b)"
        for other in ({}, {"drop_session_ids": True}, rules | {"drop_tracking": True}):
            with pytest.raises(CrawlMismatch):
                await join(redis, **other)

    with_redis(fresh_redis, story)
