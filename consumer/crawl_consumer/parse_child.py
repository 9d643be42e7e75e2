"""A process that parses pages before a consumer does, each in a fork of its own that may die of it.

``python -m crawl_consumer.parse_child CPU_S TREE_BYTES`` reads from standard input: the length of a page's markup in
eight bytes, then the markup. It answers with a line on standard output, which is empty when the page is harmless, else
says why not. It ends with its input, and on Linux with the consumer whose child it is, in the midst of a page as well.

A fork costs a millisecond here, because there is nothing else in this process; and nothing is left of a page when its
fork has ended, so that there is nothing to grow and nothing to be started again.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from crawl_consumer import links, parser, tags

#: CPU seconds that a page may take to be parsed and walked through. Ordinary pages of 8 MiB take 0.3; on a machine that
#: is ten times slower, 3.
CPU_S = 10
#: Bytes of memory that its tree and its links may take. Ordinary pages of 8 MiB take 100 to 130 MiB.
TREE_BYTES = 192 << 20
#: Bytes of the length that comes before a page's markup.
LENGTH_BYTES = 8

_TOO_LARGE = 3
#: Signals that a page's markup may end its fork with. Any other one was sent by somebody, and says nothing of the page.
_OF_THE_PAGE = frozenset(
    {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGXCPU}
)  # fmt: skip
#: Meant for the consumer, which may finish what it has in hand: systemd sends them to every process of a service
#: (https://www.freedesktop.org/software/systemd/man/latest/systemd.kill.html, KillMode=control-group).
_OF_THE_CONSUMER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: prctl(2), where there is one: PR_SET_PDEATHSIG has a process sent a signal when its parent has ended.
_prctl = getattr(ctypes.CDLL(None), "prctl", lambda *_: None)
_PR_SET_PDEATHSIG = 1


def main(cpu_s: int, tree_bytes: int) -> None:
    """Answer for one page after the other, each within these limits."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a consumer that has ended before that has closed our input
    for number in _OF_THE_CONSUMER:
        signal.signal(number, signal.SIG_IGN)
    pages = sys.stdin.buffer
    with suppress(BrokenPipeError):
        while length := pages.read(LENGTH_BYTES):
            said = tried(pages.read(int.from_bytes(length, "big")), cpu_s, tree_bytes)
            os.write(1, said.encode() + b"\n")


def tried(markup: bytes, cpu_s: int, tree_bytes: int) -> str:
    """Parse it in a fork, and say what became of that: nothing, or why a consumer had better not parse it.

    Args:
        markup: in UTF-8.
        cpu_s: seconds of the processor that it may take.
        tree_bytes: memory that it may take.

    Raises:
        SystemExit: the fork was killed, for a reason that lies elsewhere: nobody knows what the page would have done.
    """
    parent, child = os.getpid(), os.fork()
    if child == 0:
        end_with(parent)
        _leave_with(_parse_within, markup, cpu_s, tree_bytes)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0 and -code not in _OF_THE_PAGE:
        sys.exit("a process that parsed a page was killed")
    if code == _TOO_LARGE:
        return f"it takes more than {tree_bytes >> 20} MiB to parse"
    if code == -signal.SIGXCPU:
        return f"it takes more than {cpu_s} s to parse"
    return f"parsing it ends with {signal.Signals(-code).name}" if code < 0 else ""


def _leave_with(call: Callable[..., int], *arguments: object) -> NoReturn:
    """End a fork with this call's result, or with 1: a defect of ours shows when the consumer does the same."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # lxml prints that there is no memory left
    code = 1
    try:
        code = call(*arguments)
    finally:
        os._exit(code)


def end_with(parent: int) -> None:
    """See to it that this process is killed when its parent has ended; at once, if that was before we could ask."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _parse_within(markup: bytes, cpu_s: int, tree_bytes: int) -> int:
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_AS, _address_space_bytes() + tree_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    try:
        root, error = parser.parse(markup)
        if root is not None:
            tags.in_tree(root)
        if error:
            links.hrefs_of_text(markup.decode("utf-8", "replace"))
    except MemoryError:
        return _TOO_LARGE
    return 0


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * _PAGE_BYTES


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
