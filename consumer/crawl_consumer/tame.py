"""Whether markup is tame: found in a thirtieth of the time that parsing takes, and true whatever its author wanted.

Three things make libxml2 costly: it takes time with the square of an element's attributes, it makes a node of 250
bytes from two of markup, and it goes through all elements that are open for a tag. So no tag must be long, nodes must
be few, and so must tags; how deep they nest, only the parser knows (:func:`crawl_consumer.parser.parse_shallow`).
Where it makes no tree, it nests without limit, and tags must be fewer.

A tag ends at every ``">``, with two exceptions: the quotation mark opens a value, and then ``=`` stands before it; or
all of it is inside a value in single quotation marks. So where each block of the markup has such an end, no stretch of
a tag that is outside of such values is as long as two blocks. The values themselves are counted.
"""

#: Bytes of a tag that libxml2 takes half a second for at the worst, with 24,000 attributes: 54 ps times their square.
TAG_BYTES = 96 << 10
#: Tags, of which each takes up to 17 µs in 256 open elements, and has three bytes at least.
MOST_TAGS = 100_000
#: Characters of names that are compared in a page that is skimmed: 0.6 ns each, two seconds in all. Half of the tags
#: may be open, and each of the others be looked for among all of these. What else a comparison takes counts as nine.
MOST_COMPARED = 3_300_000_000
#: Characters of a name that libxml2 keeps.
_NAME_CHARS = 100
#: Nodes of the tree: 170 MiB. Each takes a byte of markup at least.
MOST_NODES = 700_000

#: Values in single quotation marks from which on nothing is tame, and they need not be counted further.
_NO_STRETCH_LEFT = TAG_BYTES // 2

#: What may stand between ``=`` and the quotation mark that opens a value.
_WHITE = b"\t\n\v\f\r \0"
_OPENS = b"=" + _WHITE
#: One of these stands before each attribute.
_SEPARATORS = _WHITE + b"/\"'"


def is_tame(markup: bytes) -> bool:
    """Whether it takes no more than about two seconds and 192 MiB to parse it, as far as it is shallow.

    Args:
        markup: in UTF-8.
    """
    if len(markup) > 3 * MOST_TAGS and markup.count(b"<") > MOST_TAGS:
        return False
    return (len(markup) <= MOST_NODES or _nodes(markup) <= MOST_NODES) and _tags_are_short(markup)


def is_skimmable(markup: bytes) -> bool:
    """Whether it takes no more than about two seconds to skim it (:func:`crawl_consumer.parser.skim`).

    Args:
        markup: in UTF-8.
    """
    return len(markup) <= TAG_BYTES or (_most_compared(markup) <= MOST_COMPARED and _tags_are_short(markup))


def single_quoted(markup: bytes) -> int:
    """Values in single quotation marks, or what might be one: their number at the most."""
    number, start, at = 0, 0, markup.find(b"'")
    while at >= 0 and number < _NO_STRETCH_LEFT:
        # Most follow a letter; to look at no more of them is what makes this cheap.
        if at and markup[at - 1] in _OPENS and markup[start:at].rstrip(_WHITE).endswith(b"="):
            number += 1
        start, at = at + 1, markup.find(b"'", at + 1)
    return number


def tags_end(markup: bytes, *, every_bytes: int) -> bool:
    """Whether in each block of so many bytes any tag ends that is not inside a value in single quotation marks."""
    starts = range(0, len(markup) - every_bytes + 1, every_bytes) if every_bytes else (0,)
    return all(_tag_ends(markup, start, start + every_bytes) for start in starts)


def _most_compared(markup: bytes) -> int:
    tags = max(markup.count(b"<"), 1)
    return (tags // 2) ** 2 * (9 + min(len(markup) // tags, _NAME_CHARS))


def _tags_are_short(markup: bytes) -> bool:
    if len(markup) <= TAG_BYTES:
        return True
    stretch_bytes = min(TAG_BYTES // (single_quoted(markup) + 1), TAG_BYTES**2 // len(markup))
    return tags_end(markup, every_bytes=stretch_bytes // 2)


def _nodes(markup: bytes) -> int:
    """At the most: elements, the texts between them, and attributes."""
    return 2 * markup.count(b"<") + len(markup) - len(markup.translate(None, _SEPARATORS))


def _tag_ends(markup: bytes, start: int, stop: int) -> bool:
    at = markup.find(b'">', start, stop)
    while at >= 0 and (at == 0 or markup[at - 1] in _OPENS):
        at = markup.find(b'">', at + 1, stop)
    return at >= 0
