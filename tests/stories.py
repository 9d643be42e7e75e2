"""Tests of both implementations of one promise: the fixture ``new_world`` of the test file says which."""

import asyncio
import inspect


def in_a_world(story):
    """Make a test of an async function that takes a world (and perhaps more parameters of the test)."""

    def test(new_world, **parameters):
        async def play():
            async with new_world() as world:
                await story(world, **parameters)

        asyncio.run(play())

    _, *others = inspect.signature(story).parameters.values()
    world = inspect.Parameter("new_world", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([world, *others])
    test.__name__ = story.__name__
    return test
