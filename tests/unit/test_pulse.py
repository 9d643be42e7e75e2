"""The heartbeat: it goes on through failures, and closing never hangs on a ledger that does not answer."""

import asyncio
import time

import pytest

from crawl_dedup import LedgerName, LedgerUnavailable, MemoryLedger, MemoryLedgerStore, pulse
from crawl_dedup.pulse import Pulse


class FlakyLedger(MemoryLedger):
    """Its second heartbeat fails; ``beaten`` is set by the fourth."""

    def __init__(self):
        super().__init__(MemoryLedgerStore(), LedgerName("news"), "a")
        self.beats, self.beaten = 0, asyncio.Event()

    async def heartbeat(self):
        self.beats += 1
        if self.beats == 2:
            raise LedgerUnavailable("no answer")
        if self.beats == 4:
            self.beaten.set()


class SilentLedger(MemoryLedger):
    """Never answers to leave."""

    async def leave(self):
        await asyncio.Event().wait()


def test_a_failed_beat_is_logged_and_the_next_one_follows(caplog):
    async def play():
        ledger = FlakyLedger()
        beating = Pulse(ledger, every_s=0.001)
        await beating.start()
        await asyncio.wait_for(ledger.beaten.wait(), 5)
        await beating.stop()
        assert "heartbeat in news/main failed: no answer" in caplog.text

    asyncio.run(play())


def test_a_first_beat_that_fails_is_the_callers_error():
    async def play():
        ledger = FlakyLedger()
        ledger.beats = 1
        with pytest.raises(LedgerUnavailable):
            await Pulse(ledger).start()

    asyncio.run(play())


def test_leaving_a_ledger_that_does_not_answer_ends_nevertheless(caplog, monkeypatch):
    async def play():
        monkeypatch.setattr(pulse, "LEAVE_S", 0.01)
        began = time.monotonic()
        async with SilentLedger(MemoryLedgerStore(), LedgerName("news"), "a"):
            pass
        assert time.monotonic() - began < 1
        assert "leaving news/main" in caplog.text

    asyncio.run(play())
