"""One HTML parser for each thread, with a dictionary of names that is thrown away before hostile pages fill it.

lxml keeps every distinct name of an element or an attribute that a thread has met for as long as the thread lives
(https://lxml.de/FAQ.html#my-application-grows). Ordinary pages share a few hundred. A hostile one brings a million:
about six bytes of memory for each byte of its body, that no later page gives back. Trees keep the dictionary that
they were made with, so another one harms none of them.
"""

import ctypes
import threading

from lxml import etree

#: libxml2 nests at most this deep, even with huge_tree (256 without it), and drops all that follows. Links behind
#: are then looked for in the markup itself.
MAX_DEPTH = 2048
#: Bytes of markup after which a thread's names are forgotten: at the worst they take 50 MiB by then. To begin anew
#: takes 30 µs.
FORGET_BYTES = 8 << 20

#: Where lxml 6 keeps a thread's dictionary: in the thread's own mapping of CPython, which no Python function shows
#: (https://docs.python.org/3/c-api/init.html#c.PyThreadState_GetDict). lxml 7 gives each parser a dictionary of its
#: own; then there is nothing under this name, and the new parser is all it takes.
_LXML_S_NAMES = "_ParserDictionaryContext"
_thread_s_own = ctypes.pythonapi.PyThreadState_GetDict
_thread_s_own.restype = ctypes.c_void_p
_thread_s_own.argtypes = ()


class _Mine(threading.local):
    """This thread's parser, and how much it may still read. No two threads may fill one dictionary at a time."""

    parser: etree.HTMLParser | None = None
    left_bytes = 0


_MINE = _Mine()


def parse(markup: bytes, *, apart: bool = False) -> tuple[etree._Element | None, str | None]:
    """Make a tree of HTML, whatever it is.

    Args:
        markup: in UTF-8.
        apart: the tree is for another thread, which may change it while this one parses on: it shares no dictionary.

    Returns:
        The root, None when there is no element in it, and what kept the parser from reading to the end.

    Raises:
        MemoryError: there is none left; libxml2 would give an empty tree.
    """
    parser = _parser(FORGET_BYTES if apart else len(markup))
    try:
        root, error = etree.fromstring(markup, parser), None
    except etree.LxmlError as failure:
        root, error = None, str(failure)
    last = parser.error_log.last_error
    if last is not None and last.type == etree.ErrorTypes.ERR_NO_MEMORY:
        raise MemoryError(f"for the tree of {len(markup):,} bytes")
    if root is not None and last is not None and last.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
        error = f"nested deeper than {MAX_DEPTH} elements, the tree ends there"
    return root, error


def libraries() -> dict[str, str]:
    """The libraries behind lxml, and their versions."""
    known = {"libxml2": etree.LIBXML_VERSION, "libxslt": etree.LIBXSLT_VERSION}
    return {name: ".".join(map(str, release)) for name, release in known.items()}


def _parser(markup_bytes: int) -> etree.HTMLParser:
    mine = _MINE
    mine.left_bytes -= markup_bytes
    if mine.parser is None or mine.left_bytes < 0:
        mine.left_bytes = FORGET_BYTES - markup_bytes
        mine.parser = _with_new_names()
    return mine.parser


def _with_new_names() -> etree.HTMLParser:
    own = ctypes.cast(_thread_s_own(), ctypes.py_object).value
    own.pop(_LXML_S_NAMES, None)
    # It is given nothing but UTF-8: in any other encoding libxml2 drops the whole page for one byte that is wrong in
    # it, without a word. In UTF-8 it puts U+FFFD in the byte's place.
    return etree.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=True, encoding="utf-8")
