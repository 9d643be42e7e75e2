"""The rule by which a topic exchange matches a routing key against a binding's pattern."""


def topic_matches(pattern: str, key: str) -> bool:
    """Whether ``pattern`` takes ``key``: words between dots, ``*`` is one word, ``#`` any number of words.

    The empty key is no words at all, so only the empty pattern and patterns of nothing but ``#`` take it; two
    dots in a row hold an empty word, which ``*`` takes. ``*`` and ``#`` mean something only as whole words:
    ``news.*x`` is plain text. Time grows with the product of the two word counts, whatever the pattern.

    Source: https://www.rabbitmq.com/tutorials/amqp-concepts#exchange-topic and AMQP 0-9-1, section 3.1.3.3.
    """
    words = _words(key)
    # taken[n]: the part of the pattern read so far takes exactly the first n words.
    taken = [True] + [False] * len(words)
    for part in _words(pattern):
        if True not in taken:
            return False
        if part == "#":
            shortest = taken.index(True)
            taken = [n >= shortest for n in range(len(taken))]
        else:
            steps = zip(taken, words, strict=False)
            taken = [False, *(before and part in ("*", word) for before, word in steps)]
    return taken[-1]


def _words(dotted: str) -> list[str]:
    return dotted.split(".") if dotted else []
