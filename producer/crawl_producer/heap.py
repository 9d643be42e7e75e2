"""What memory costs a process that works for long: set once, before its first URL."""

import ctypes
import gc

#: Of glibc's mallopt(3): the size in bytes up to which freed chunks are kept aside in lists; 0: none.
_M_MXFAST = 1

_libc = ctypes.CDLL(None)
# Other C libraries have neither, and other heaps.
_mallopt = getattr(_libc, "mallopt", lambda *_: None)
_malloc_trim = getattr(_libc, "malloc_trim", lambda *_: None)


def prepare() -> None:
    """Once everything is open that stays open: the collector passes over it, and the heap joins what is freed at once.

    The collector would go through all modules and settings again with every hundred pages, 7 % of a page's CPU, and
    an eighth of a seed's (https://docs.python.org/3/library/gc.html#gc.freeze). And glibc keeps small chunks aside when
    they are freed, and joins them one by one when a large one is. A tree is ten thousand small ones and the page's body
    a large one: when they are joined at once, parsing and freeing take a tenth less.
    """
    gc.collect()
    gc.freeze()
    _mallopt(_M_MXFAST, 0)


def give_back() -> None:
    """Give free memory back to the system; each thread would keep what the largest tree has taken that it ever made.

    Done after every large page this would cost more than to parse it: the next one has to get it all again, 14,000
    page faults for 2.5 MiB.
    """
    _malloc_trim(0)
