"""Waiting for what announces itself to nobody, such as a queue's depth or a counter."""

import asyncio
import inspect

#: Far above anything that works: a test that waits this long has found a defect.
PATIENCE_S = 20
#: Between two looks.
_LOOK_S = 0.01


async def until(condition):
    """Wait until ``condition()``, or what it returns when awaited, is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not await _value(condition()):
            await asyncio.sleep(_LOOK_S)


async def _value(result):
    return await result if inspect.isawaitable(result) else result
