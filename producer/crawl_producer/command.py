"""What every command shares at its edge: options, logging, and a clear line and exit code when it fails."""

import asyncio
import contextlib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from crawl_dedup import Secrets, crash_points, escaped, shown
from crawl_dedup.errors import CrawlError
from crawl_producer.loop import new_loop
from crawl_producer.settings import LoadedTopology, load

_T = TypeVar("_T")

#: What is left of libraries' own logging without --debug: our errors say once what pika's modules say each time, and
#: aiohttp's warnings are about bad cookies, one for each that a site sends.
_LIBRARY_LEVELS = {
    "aiohttp.internal": logging.ERROR,
    "pika": logging.WARNING,
    "pika.adapters": logging.CRITICAL,
    "pika.connection": logging.CRITICAL,
    "pika.channel": logging.ERROR,
}
#: Of a log line, whoever wrote what stands in it.
MAX_LOG_CHARS = 2000
#: What this process was told to keep to itself; logging is one for the whole process, and so is this.
_SECRETS = Secrets()
#: The disk or the quota behind an output is used up.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ExitCode(IntEnum):
    """What every command's exit code means; an error's own is its class's ``exit_code``."""

    DONE = 0
    UNEXPECTED = 1  #: a defect; --debug shows where
    USAGE = 2  #: wrong options or arguments
    TOPOLOGY_FILE = 3  #: exchanges.yaml is missing or wrong
    BROKER_UNREACHABLE = 4
    BROKER_REFUSED = 5  #: RabbitMQ answers no: credentials, virtual host, permissions
    REDIS_UNREACHABLE = 6
    REDIS_REFUSED = 7  #: Redis answers but must not be used: password, version, eviction
    CRAWL_MISMATCH = 8  #: the crawl was begun under another hash key or canonicaliser
    UNKNOWN_NAME = 9  #: no such crawl, queue or exchange
    SOME_REJECTED = 10  #: finished, but some URLs were rejected or unroutable
    TOPOLOGY_DIFFERS = 11  #: RabbitMQ lacks something or holds it with other arguments
    OUTPUT_NOT_WRITABLE = 12
    SPIDER = 13  #: the spider cannot be loaded, or raised on the page that was looked at
    TIMED_OUT = 14  #: the crawl was not complete in the time that was given
    NOT_SEEDED = 15  #: nothing was ever admitted to the crawl
    WARNINGS = 16  #: crawl-doctor has warnings, and no errors
    ERRORS = 17  #: crawl-doctor has errors
    NO_PAGE = 18  #: a URL that was looked at gives no page
    INTERRUPTED = 130  #: 128 + SIGINT, as shells count
    PIPE_CLOSED = 141  #: 128 + SIGPIPE: whoever read the output has gone


TopologyOption = Annotated[
    Path | None,
    typer.Option(
        "--topology",
        metavar="FILE",
        help="The topology file. Default: CRAWL_TOPOLOGY, ./exchanges.yaml, the packaged copy.",
        show_default=False,
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.", show_default=False)]


def checked(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """``parse`` for an option: what it says with a ValueError is shown beside the option's name."""

    def option(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return option


def examples(*lines: str) -> str:
    """The lines as the end of a command's help, broken where they are broken here."""
    # \b tells click to leave the paragraph as it is.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def run(
    program: str,
    main: Callable[[], Coroutine[Any, Any, int | None]],
    *,
    debug: bool = False,
    log_level: int = logging.WARNING,
) -> NoReturn:
    """Run a command's coroutine to its end and leave the process with the right exit code.

    Args:
        program: the command's name, which its error lines begin with.
        main: makes the coroutine; it returns an exit code, or None for success.
        debug: log everything and show tracebacks.
        log_level: what is logged to stderr without ``debug``.

    Raises:
        SystemExit: always.
        typer.BadParameter: CRASH_AT names no crash point.
    """
    set_up_logging(debug=debug, level=log_level)
    _arm()
    with reporting(program, debug=debug):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            code = runner.run(main())
        if sys.stdout is not None:
            # A full disk or a closed pipe is met here, where it can be told, not as the interpreter leaves.
            sys.stdout.flush()
    raise SystemExit(ExitCode.DONE if code is None else code)


def load_or_exit(
    program: str, option: Path | None, *, debug: bool = False, log_level: int = logging.WARNING
) -> LoadedTopology:
    """The topology and settings, or the end of the command with exit code 3 and every mistake on stderr.

    Which file was read, and why that one, is logged at INFO. Arguments as in :func:`run`.
    """
    set_up_logging(debug=debug, level=log_level)
    with reporting(program, debug=debug):
        loaded = load(option)
    _SECRETS.add(*loaded.confidential())
    return loaded


@contextlib.contextmanager
def reporting(program: str, *, debug: bool = False) -> Iterator[None]:
    """Turn what is raised inside into one clear message on stderr and SystemExit with its code."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        raise SystemExit(ExitCode.INTERRUPTED) from None
    except typer.BadParameter:
        # typer shows the usage with it, and ends with 2.
        raise
    except BrokenPipeError:
        _discard_output()
        raise SystemExit(ExitCode.PIPE_CLOSED) from None
    except Exception as error:  # noqa: BLE001  # the last place: a user sees a sentence, not a traceback
        ending = _ending(_foremost(error))
        lines = [_indented(traceback.format_exc())] if debug else []
        lines += [f"{program}: {ending.message}"] + ([f"  remedy: {ending.remedy}"] if ending.remedy else [])
        print(redact("\n".join(lines)), file=sys.stderr)  # noqa: T201  # a command's last word
        if ending.code == ExitCode.OUTPUT_NOT_WRITABLE:
            _discard_output()
        raise SystemExit(ending.code) from None


def set_up_logging(*, debug: bool = False, level: int = logging.WARNING) -> None:
    """Log to stderr, passwords blotted out; libraries' loggers speak only where ours do not tell the same."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else level, handlers=[handler], force=True)
    for name, quiet in _LIBRARY_LEVELS.items():
        # pika's DEBUG is several lines for each frame.
        logging.getLogger(name).setLevel(logging.INFO if debug else quiet)


def redact(text: str) -> str:
    """``text`` as it may be printed, line by line: without secrets, and nothing in it that a terminal would obey."""
    return "\n".join(escaped(line) for line in _SECRETS.hidden(text).split("\n"))


def _arm() -> None:
    try:
        crash_points.arm(os.environ.get("CRASH_AT", ""))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class _Redacting(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = shown(_SECRETS.hidden(record.message), MAX_LOG_CHARS)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return redact(_indented(super().formatException(ei)))


def _indented(text: str) -> str:
    """A traceback of which no line can be taken for a log line or the command's last word."""
    return "\n".join(f"  {line}" for line in text.rstrip().split("\n"))


@dataclass(frozen=True, slots=True)
class _Ending:
    """What a command says last, and the code it ends with."""

    message: str
    remedy: str
    code: int


def _ending(error: Exception) -> _Ending:
    if isinstance(error, CrawlError):
        return _Ending(str(error), error.remedy, error.exit_code)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        message = f"the output cannot be written: {error.strerror}"
        return _Ending(message, "make room, then run it again", ExitCode.OUTPUT_NOT_WRITABLE)
    message = f"unexpected {type(error).__name__}: {error}"
    return _Ending(message, "run again with --debug to see where", ExitCode.UNEXPECTED)


def _foremost(error: Exception) -> Exception:
    """Of errors that several tasks raised at once the first of ours, else the first."""
    while isinstance(error, ExceptionGroup):
        error = (error.subgroup(CrawlError) or error).exceptions[0]
    return error


def _discard_output() -> None:
    """Point stdout nowhere, so that the interpreter's own flush as it leaves does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
