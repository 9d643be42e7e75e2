"""Every regular expression of ours takes time in proportion to what it looks at, whoever wrote that.

A pattern that is not so takes at least the square of it: minutes here, where others take milliseconds. All module-level
patterns are found by themselves, so a new one is tried too.
"""

import importlib
import pkgutil
import re
import time

import pytest

import crawl_consumer
import crawl_dedup
import crawl_producer

#: Characters that a pattern is given at a time, and seconds of the processor for them that need no second look: many
#: times what the slowest takes, and a quarter of what the square of so many steps takes.
TEXT_CHARS, QUICK_CPU_S = 50_000, 0.3
#: Patterns that are only tried at one place of a text.
ANCHORED = {
    "crawl_consumer.charset._ATTRIBUTE",
    "crawl_consumer.charset._XML_DECLARATION",
    "crawl_consumer.directives._PREFIXED",
    "crawl_consumer.markup._LOOKS_LIKE_HTML",
}
#: What the texts are repetitions of: what patterns look for, and what keeps them from finding it.
PIECES = [
    *"aZ0 \t\n/\\.,:;=%&#?@*-_+'\"<>()[]{}!\x00é",
    "a ", "a.", "1.", "a:", "a=", "a/", "a@", "%2", "0 ", "\r\n", "://", ":/@", "'a'", '"a"', "<a ", "<a/",
    "<!--", "-->", "<a href", "<a href=", '<a href="', " href=", " href='", "<script>", "<meta",
    "<meta charset=", "</a", "<?xml", '<?xml encoding="', " encoding=", "charset=", ";charset=", "max-age=",
    ",max-age = ", "; domain", "no-store", "&amp", "&#", "&#x", "http://", "rediss://", '{"url":"', "{ ",
    "1h", "1kB", "2020-", "2020-01-01", "a-a",
]  # fmt: skip
TEXTS = [piece * (TEXT_CHARS // len(piece)) + end for piece in PIECES for end in ("", "\x00")]


def patterns():
    """Name and pattern of all there are."""
    for package in (crawl_dedup, crawl_producer, crawl_consumer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(module.name)).items():
                    if isinstance(value, re.Pattern):
                        yield f"{module.name}.{name}", value


PATTERNS = dict(patterns())


def cpu_s(look, text):
    began_s = time.thread_time()
    look(text)
    return time.thread_time() - began_s


def is_quick(look, text):
    """Whether it takes little time, or, on a slow machine, a quarter of the text takes about a quarter of it."""
    took_s = cpu_s(look, text)
    return took_s < QUICK_CPU_S or took_s < 8 * min(cpu_s(look, text[: len(text) // 4]) for _ in range(3))


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_time_in_proportion_to_the_text(name):
    pattern = PATTERNS[name]
    looks = [pattern.match, pattern.fullmatch] if name in ANCHORED else [pattern.search, pattern.fullmatch]
    for text in TEXTS:
        subject = text if isinstance(pattern.pattern, str) else text.encode()
        for look in looks:
            assert is_quick(look, subject), (look.__name__, text[:40], text[-1])


def test_a_pattern_that_takes_more_is_noticed():
    assert not is_quick(re.compile("a*b").search, "a" * TEXT_CHARS)


def test_patterns_that_are_tried_at_one_place_are_no_others():
    assert set(PATTERNS) >= ANCHORED
