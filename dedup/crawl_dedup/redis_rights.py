"""What each kind of program may do in Redis: the keys and commands that it uses, and no others, as rules of an ACL.

A function runs with the rights of whoever calls it, so the commands in the functions' code belong to their callers'.
They are read from that code: a function cannot need what its callers were not given.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from crawl_dedup import redis_names
from crawl_dedup.ledger import LedgerName
from crawl_dedup.redis_open import function_libraries
from crawl_dedup.redis_where import where

#: What opening a connection takes, and calling functions that somebody else has loaded.
_OPENING = ("client|setname", "fcall", "fcall_ro", "function|list", "info", "ping")
#: What consumers send besides functions: their heartbeat's end, and the memory of robots.txt files.
_CONSUMING = ("del", "get", "pttl", "set")
#: What looking, repairing and forgetting take; the functions are loaded by those who do that.
_OPERATING = ("del", "exists", "function|load", "hset", "mget", "scan", "scard", "time", "unlink")

_CALLED = re.compile(r"redis\.call\('([A-Z]+)'")
#: Whatever else a key has in it matches any character: a rule cannot hold blanks, nor globs that mean themselves.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.:/{}-]")


@dataclass(frozen=True, slots=True)
class RedisRights:
    """One user's rights.

    Attributes:
        user: its name.
        keys: patterns of the keys that it may read and write.
        commands: in Redis' words, ``get`` or ``function|list``.
    """

    user: str
    keys: tuple[str, ...]
    commands: tuple[str, ...]

    def command(self) -> str:
        """The command that makes the user, or takes from it whatever else it might do; its passwords stay."""
        rules = [f"~{key}" for key in self.keys] + [f"+{command}" for command in self.commands]
        return " ".join(("ACL SETUSER", self.user, "on resetkeys resetchannels -@all", *rules))


def database_of(url: str) -> int:
    """The database that a Redis URL names, for which a user needs one more command. Raises LedgerRefused."""
    return where(url, name="").database


def seeder(user: str, ledgers: Iterable[LedgerName], *, database: int = 0) -> RedisRights:
    """Whoever brings seeds: the ledgers and nothing else."""
    return RedisRights(user, tuple(map(_ledger, ledgers)), _commands(_OPENING, ("crawl_ledger_1",), database))


def consumer(user: str, ledgers: Iterable[LedgerName], *, lists: Iterable[str] = (), database: int = 0) -> RedisRights:
    """A consumer: the ledgers, what is known of hosts and their robots.txt, and the lists that its items go to."""
    found = [_plain(key) for key in lists]
    written = [pattern for key in found for pattern in (key, f"{key}:last:*")]
    keys = (*map(_ledger, ledgers), *redis_names.SHARED_PATTERNS, *written)
    libraries = ("crawl_ledger_1", "crawl_slots_1", "crawl_novelty_1", *(("crawl_items_1",) if written else ()))
    return RedisRights(user, keys, _commands((*_OPENING, *_CONSUMING), libraries, database))


def operator(user: str, *, database: int = 0) -> RedisRights:
    """Whoever looks after crawls, also those that no file names any more, and loads the functions for all others."""
    return RedisRights(user, ("crawl:*",), _commands((*_OPENING, *_OPERATING), ("crawl_ledger_1",), database))


def _commands(own: Iterable[str], libraries: Iterable[str], database: int) -> tuple[str, ...]:
    code = function_libraries()
    called = {name.lower() for library in libraries for name in _CALLED.findall(code[library])}
    return tuple(sorted({*own, *called, *(("select",) if database else ())}))


def _ledger(name: LedgerName) -> str:
    return _plain(redis_names.prefix(name)) + "*"


def _plain(key: str) -> str:
    return _NOT_PLAIN.sub("?", key)
