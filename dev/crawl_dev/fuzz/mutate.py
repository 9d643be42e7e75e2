"""Changes of bytes, the same ones for the same random numbers."""

from collections.abc import Callable, Sequence
from random import Random

#: Changes of one input, at most: more leave nothing of it.
_MOST_CHANGES = 6
#: How often a piece may stand in a row, beyond which it only costs time.
_MOST_REPEATS = 4096
#: Bytes that readers of text, numbers and lengths treat on their own.
_SPECIAL = b"\x00\x01\x7f\x80\xc0\xed\xfe\xff\t\n\r \"#%&'()*+,-./:;<=>?@[\\]^_`{|}~09azAZ"

_Change = Callable[[bytearray, Random, Sequence[bytes], Sequence[bytes]], None]


def mutated(data: bytes, chance: Random, words: Sequence[bytes], others: Sequence[bytes], max_bytes: int) -> bytes:
    """``data`` after a few changes, of at most ``max_bytes``.

    Args:
        data: an input.
        chance: decides.
        words: pieces to put in.
        others: inputs to take pieces of.
        max_bytes: what is longer is cut.
    """
    changed = bytearray(data)
    for _ in range(chance.randint(1, _MOST_CHANGES)):
        chance.choice(_CHANGES)(changed, chance, words, others)
        del changed[max_bytes:]
    return bytes(changed)


def _place(data: bytearray, chance: Random) -> int:
    return chance.randint(0, len(data))


def _stretch(data: bytes | bytearray, chance: Random, longest: int = 64) -> slice:
    start = chance.randint(0, len(data))
    return slice(start, start + chance.randint(1, longest))


def _flip(data: bytearray, chance: Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(data: bytearray, chance: Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(_SPECIAL)


def _insert(data: bytearray, chance: Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    data.insert(_place(data, chance), chance.choice(_SPECIAL))


def _delete(data: bytearray, chance: Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    del data[_stretch(data, chance)]


def _word(data: bytearray, chance: Random, words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    if words:
        place = _place(data, chance)
        data[place:place] = chance.choice(words)


def _copy(data: bytearray, chance: Random, _words: Sequence[bytes], others: Sequence[bytes]) -> None:
    other = chance.choice(others) if others else bytes(data)
    place = _place(data, chance)
    data[place:place] = other[_stretch(other, chance, 256)]


def _repeat(data: bytearray, chance: Random, words: Sequence[bytes], _others: Sequence[bytes]) -> None:
    """What takes the square of the time, or nests, does so of many alike."""
    stretch = _stretch(data, chance, 16)
    piece = chance.choice(words) if words and chance.random() < 0.5 else bytes(data[stretch])
    data[stretch] = piece * chance.randint(2, _MOST_REPEATS)


_CHANGES: Sequence[_Change] = (_flip, _replace, _replace, _insert, _insert, _delete, _word, _word, _copy, _repeat)
