"""Crash points: named places between two steps of the protocol, at which a test may let the process die.

``CRASH_AT=committed`` makes a command kill itself (SIGKILL) the first time it gets to that place, ``committed:3`` the
third time. ``begin.reply:2:drop`` drops the connection instead, so that the answer is lost and the process must
help itself; only the places whose name ends in ``.reply`` know that. Without the variable a place costs one
comparison. ``tests/e2e/test_crash_walk.py`` walks them all.
"""

import logging
import os
import re
import signal
from dataclasses import dataclass
from typing import Final, Literal, get_args

log = logging.getLogger(__name__)

#: The places, each named for what has happened just before.
CrashPoint = Literal[
    # one URL, from its delivery to its acknowledgement
    "delivered",  # a delivery is in hand, and nobody was asked about it
    "begun",  # the ledger has answered begin
    "fetched",  # the page was fetched, and not read
    "items.written",  # the outputs have taken its items, and what is due of them is not on its way
    "group.closed",  # a group of items stands before one output; nothing of it is written
    "group.kept",  # that output has it, on disk, committed or confirmed; no page was told
    "items.kept",  # its items are on disk
    "items.buried",  # those that are invalid are dead letters
    "admitting",  # its links (or a batch of seeds) stand at the door; nothing is committed
    "committed",  # they are admitted and in the outbox; nothing is published
    "partly.confirmed",  # some cannot be published now; the ledger has forgotten what the broker has
    "confirmed",  # the broker has them all
    "finished",  # the ledger has ended the URL
    "resuming",  # an outbox of an earlier, killed run is in hand; nothing is published
    "buried",  # the broker has the dead letter; the URL has not ended
    "successor.confirmed",  # the broker has the parked, retried or undecodable copy
    "released",  # and the lease is dropped
    "acknowledged",  # the client was told to acknowledge
    # seeding from where other systems write
    "written.admitted",  # their URLs are admitted, and their source still has them
    "written.gone",  # the source was told to let them go
    # the end of the crawl
    "finale.claimed",  # on_finish is this process' to run; it has not begun
    "finale.run",  # it has run; the ledger does not know
    "finale.over",  # the ledger knows
    # sweeping, replaying and dropping
    "orphans.leased",  # outboxes of the dead are in hand
    "letters.held",  # dead letters are in hand; nothing is changed
    "reopened",  # their URLs are open; nothing is published
    "replay.confirmed",  # the broker has their messages
    "given_up",  # the URLs of letters to be dropped have ended
    "letter.taken",  # the client was told to acknowledge a dead letter
    # the heartbeat
    "heartbeat.due",
    "heartbeat.sent",
    "leaving",
    "left",
    # executed, and the answer has come, but nobody was told
    "begin.reply",
    "commit.reply",
    "confirmed.reply",
    "finish.reply",
    "release.reply",
    "heartbeat.reply",
    "orphans.reply",
    "reopen.reply",
    "give_up.reply",
    "claim_finale.reply",
    "finale_over.reply",
    "publish.reply",
    # the bytes of some AMQP frames were given to the system
    "amqp.written",
]

POINTS: Final = frozenset[str](get_args(CrashPoint))
#: The places that can lose their connection as well.
DROPPABLE: Final = frozenset(point for point in POINTS if point.endswith(".reply"))

_FORM = re.compile(r"([^:]+)(?::([1-9][0-9]*))?(:drop)?")


@dataclass(slots=True)
class _Armed:
    point: str
    left: int  #: how often the process will still get by
    drop: bool

    def strikes(self, point: str) -> bool:
        """Whether this time is the one."""
        if point != self.point:
            return False
        self.left -= 1
        return self.left == 0


_armed: _Armed | None = None


def arm(wanted: str) -> None:
    """Let this process crash; an empty text disarms it.

    Args:
        wanted: ``name``, ``name:k`` or ``name:k:drop``, as the environment variable ``CRASH_AT`` has it.

    Raises:
        ValueError: it has another form, or names no place; the message lists the names.
    """
    global _armed  # noqa: PLW0603 - one process, one crash
    if not wanted:
        _armed = None
        return
    form = _FORM.fullmatch(wanted)
    if form is None:
        raise ValueError(f"CRASH_AT={wanted!r} is not name, name:k or name:k:drop")
    point, times, drop = form.groups()
    if point not in (known := DROPPABLE if drop else POINTS):
        raise ValueError(f"CRASH_AT={wanted!r}: there is no such place; there are {', '.join(sorted(known))}")
    _armed = _Armed(point, int(times or 1), bool(drop))
    log.warning("this process will %s at %s", "lose a connection" if drop else "kill itself", wanted)


def reached(point: CrashPoint) -> None:
    """Say that the process has come to this place, which is its end if it was armed for it."""
    if _armed is not None and _armed.strikes(point):
        os.kill(os.getpid(), signal.SIGKILL)


def lost(point: CrashPoint) -> bool:
    """As :func:`reached`, for an answer that nobody was told yet; True: the caller drops its connection now."""
    if _armed is None or not _armed.strikes(point):
        return False
    if not _armed.drop:
        os.kill(os.getpid(), signal.SIGKILL)
    log.warning("dropping the connection at %s", point)
    return True


def armed() -> bool:
    """Whether this process is going to crash: what is only needed to name a place may be left out otherwise."""
    return _armed is not None
