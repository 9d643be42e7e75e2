"""Ledgers whose whole state can be looked at and set back: the worlds of tests/protocol_machine.py."""

import asyncio
import copy
from dataclasses import dataclass

from crawl_dedup import open_redis
from crawl_dedup.redis_names import prefix
from ledger_worlds import NAME, MemoryWorld, RedisWorld

#: Every key of a ledger with its type and its members.
_LOOK = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local name, what = string.sub(key, #ARGV[1] + 1), string.match(string.sub(key, #ARGV[1] + 1), '^%a+')
  if what == 'adm' or what == 'don' then found[#found + 1] = {name, redis.call('SMEMBERS', key)}
  elseif what == 'out' then found[#found + 1] = {name, redis.call('HKEYS', key)} end
end
return found
"""
_SAVE = """
local saved = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  saved[#saved + 1] = key
  saved[#saved + 1] = math.max(redis.call('PTTL', key), 0)
  saved[#saved + 1] = redis.call('DUMP', key)
end
return saved
"""
_RESTORE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do redis.call('DEL', key) end
for i = 2, #ARGV, 3 do redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
"""


@dataclass(frozen=True)
class State:
    """What a ledger holds: fingerprints, and the children that wait in each parent's outbox."""

    admitted: frozenset
    done: frozenset
    waiting: dict


class MemoryProtocolWorld(MemoryWorld):
    """In dictionaries."""

    def __init__(self):
        super().__init__()
        self._runner = asyncio.Runner()

    def run(self, work):
        return self._runner.run(work)

    async def empty(self):
        self.store.forget(NAME)

    async def state(self):
        books = self.store.books(NAME)
        waiting = {parent: frozenset(kept.messages) for parent, kept in books.outboxes.items()}
        return State(frozenset(books.admitted), frozenset(books.done), waiting)

    async def save(self):
        return copy.deepcopy(self.store.books(NAME))

    async def restore(self, saved):
        self.store._books[NAME] = copy.deepcopy(saved)

    def close(self):
        self._runner.close()


class RedisProtocolWorld(RedisWorld):
    """In the Redis at ``url``."""

    def __init__(self, url):
        self._runner = asyncio.Runner()
        super().__init__(self._runner.run(open_redis(url, name="tests")), expected_urls=1)

    def run(self, work):
        return self._runner.run(work)

    async def empty(self):
        await self.redis.call("FLUSHDB")

    async def state(self):
        found = {"adm": set(), "don": set()}
        waiting = {}
        for name, members in await self.redis.call("EVAL", _LOOK, 0, prefix(NAME)):
            what, _, rest = name.decode().partition(":")
            if what == "out":
                waiting[rest] = frozenset(member.decode() for member in members) - {"_"}
            else:
                found[what] |= {f"{rest}.{member.decode()}" for member in members}
        return State(frozenset(found["adm"]), frozenset(found["don"]), waiting)

    async def save(self):
        return await self.redis.call("EVAL", _SAVE, 0, prefix(NAME))

    async def restore(self, saved):
        await self.redis.call("EVAL", _RESTORE, 0, prefix(NAME), *saved)

    def close(self):
        self._runner.run(self.redis.aclose())
        self._runner.close()
