"""One HTML parser for each thread, with a dictionary of names that is thrown away before hostile pages fill it.

lxml keeps every distinct name of an element or an attribute that a thread has met for as long as the thread lives
(https://lxml.de/FAQ.html#my-application-grows). Ordinary pages share a few hundred. A hostile one brings a million:
about six bytes of memory for each byte of its body, that no later page gives back. Trees keep the dictionary that
they were made with, so another one harms none of them.
"""

import ctypes
import threading
from typing import Any

from lxml import etree

from crawl_consumer.tags import TagReader, Tags

#: libxml2 nests at most this deep, even with huge_tree (256 without it), and drops all that follows. Links behind
#: are then looked for in the markup itself.
MAX_DEPTH = 2048
#: How deep it nests without huge_tree; hardly any page is deeper.
SHALLOW_DEPTH = 256
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
    """This thread's parsers, and how much they may still read. No two threads may fill one dictionary at a time."""

    deep: etree.HTMLParser | None = None
    shallow: etree.HTMLParser | None = None
    skimming: etree.HTMLParser | None = None
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
    mine = _with_room_for(FORGET_BYTES if apart else len(markup))
    mine.deep = mine.deep or _new(huge_tree=True)
    root, error = _tree(markup, mine.deep)
    if root is not None and _met_a_limit(mine.deep):
        error = f"nested deeper than {MAX_DEPTH} elements, the tree ends there"
    return root, error


def parse_shallow(markup: bytes) -> tuple[etree._Element | None, str | None] | None:
    """As :func:`parse`; None: the markup nests deeper than 256 elements, or a text in it is longer than 10 MB.

    What is deep costs time with each tag in it: whether a tag that ends has begun is looked for all the way up.
    """
    mine = _with_room_for(len(markup))
    mine.shallow = mine.shallow or _new(huge_tree=False)
    made = _tree(markup, mine.shallow)
    return None if _met_a_limit(mine.shallow) else made


def skim(markup: bytes) -> Tags:
    """Read what the tags of HTML say, without a tree: that takes three quarters of the time that one takes.

    Nothing limits how deep it may nest; see :func:`crawl_consumer.tame.is_skimmable`.

    Raises:
        MemoryError: there is none left.
    """
    mine = _with_room_for(len(markup))
    mine.skimming = mine.skimming or _new(huge_tree=True, target=TagReader())
    read: object = etree.fromstring(markup, mine.skimming)  # closes its target, even where it raises
    _raise_without_memory(mine.skimming, markup)
    assert isinstance(read, Tags)
    return read


def libraries() -> dict[str, str]:
    """The libraries behind lxml, and their versions."""
    known = {"libxml2": etree.LIBXML_VERSION, "libxslt": etree.LIBXSLT_VERSION}
    return {name: ".".join(map(str, release)) for name, release in known.items()}


def _tree(markup: bytes, parser: etree.HTMLParser) -> tuple[etree._Element | None, str | None]:
    try:
        root, error = etree.fromstring(markup, parser), None
    except etree.LxmlError as failure:
        root, error = None, str(failure)
    _raise_without_memory(parser, markup)
    if root is not None and root.getnext() is not None:
        _take_in_what_follows(root)
    return root, error


def _take_in_what_follows(root: etree._Element) -> None:
    """Put what comes after ``</html>`` into the body, as browsers do; libxml2 2.14 makes further roots of it.

    https://html.spec.whatwg.org/multipage/parsing.html#the-after-after-body-insertion-mode
    """
    into = root[-1] if len(root) and root[-1].tag == "body" else root  # behind what comes after </body>
    for later in list(root.itersiblings()):
        into.append(later)
    etree.strip_tags(into, "html")  # of these; what is in them stays


def _raise_without_memory(parser: etree.HTMLParser, markup: bytes) -> None:
    last = parser.error_log.last_error
    if last is not None and last.type == etree.ErrorTypes.ERR_NO_MEMORY:
        raise MemoryError(f"to parse {len(markup):,} bytes")


def _met_a_limit(parser: etree.HTMLParser) -> bool:
    last = parser.error_log.last_error
    return last is not None and last.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT


def _with_room_for(markup_bytes: int) -> _Mine:
    mine = _MINE
    mine.left_bytes -= markup_bytes
    if mine.left_bytes < 0:
        mine.left_bytes = FORGET_BYTES - markup_bytes
        mine.deep = mine.shallow = mine.skimming = None
        ctypes.cast(_thread_s_own(), ctypes.py_object).value.pop(_LXML_S_NAMES, None)
    return mine


def _new(*, huge_tree: bool, target: Any = None) -> etree.HTMLParser:
    # It is given nothing but UTF-8: in any other encoding libxml2 drops the whole page for one byte that is wrong in
    # it, without a word. In UTF-8 it puts U+FFFD in the byte's place.
    return etree.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=huge_tree, encoding="utf-8", target=target)
