"""Where a spider's error came from, in one line."""

import asyncio
import inspect
import traceback
from collections.abc import Callable
from typing import Any

from crawl_dedup import shown

#: What the code of a spider may raise. A CancelledError may be of a task of its own that it awaits; see
#: :func:`unless_we_are_stopped`.
RAISED = (Exception, asyncio.CancelledError)

_MAX_ERROR_CHARS = 300


def unless_we_are_stopped(error: BaseException) -> None:
    """Raise the error again if it is a CancelledError by which somebody ends the task that runs the spider.

    Any other would end that task unseen: one of the process' places would be gone, and its URL in hand for ever.
    """
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
        raise error


def in_one_line(name: str, function: Callable[..., Any], url: str, error: BaseException) -> str:
    """The error with its place: the innermost line of the function's own file that it passed through.

    Args:
        name: what the function is called.
        function: of the user's; where it begins is the place of an error that did not pass through its file.
        url: of the page.
        error: what was raised.
    """
    text = f"{name} at {_place(function, error)}: {type(error).__name__}: {error}"
    return f"{shown(' '.join(text.split()), _MAX_ERROR_CHARS)} (on {shown(url)})"


def _place(function: Callable[..., Any], error: BaseException) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    if code is None:  # an object that can be called
        return f"{frames[-1].filename}:{frames[-1].lineno}"
    for frame in reversed(frames):
        if frame.filename == code.co_filename:
            return f"{frame.filename}:{frame.lineno}"
    return f"{code.co_filename}:{code.co_firstlineno}"
