"""Topic patterns and routing, as RabbitMQ does them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_producer.reach import keys_bound, queues_reached
from crawl_producer.topic import topic_matches
from crawl_producer.topology import Topology


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("news.front", "news.front"),
        ("news.*", "news.front"),
        ("*.front", "news.front"),
        ("news.#", "news"),
        ("news.#", "news.article.dated"),
        ("#", ""),
        ("#", "a.b.c"),
        ("#.c", "c"),
        ("a.#.c", "a.c"),
        ("a.#.c", "a.b.b.c"),
        ("#.#", "a"),
        ("*.#.*", "a.b"),
        ("", ""),
        ("*", "a"),
        ("a.*.b", "a..b"),
    ],
)
def test_a_pattern_takes_the_keys_it_should(pattern, key):
    assert topic_matches(pattern, key)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("news.front", "news"),
        ("news.*", "news"),
        ("news.*", "news.front.page"),
        ("news.*x", "news.ax"),
        ("new#", "news"),
        ("*", ""),
        ("", "a"),
        ("*.#.*", "a"),
        ("a.#.c", "a.b"),
        ("a.b", "a.B"),
    ],
)
def test_a_pattern_leaves_other_keys(pattern, key):
    assert not topic_matches(pattern, key)


WORDS = st.lists(st.sampled_from(["a", "b", "*", "#"]), max_size=6)


@given(WORDS, WORDS)
def test_matching_agrees_with_a_regular_expression(pattern_words, key_words):
    # Each word of the key is written with a dot in front of it, so that "#" is simply "any number of dotted words".
    parts = {"*": r"\.[^.]+", "#": r"(?:\.[^.]+)*"}
    expression = "".join(parts.get(word, re.escape("." + word)) for word in pattern_words)
    key = "".join("." + word for word in key_words)
    expected = re.fullmatch(expression, key) is not None
    assert topic_matches(".".join(pattern_words), ".".join(key_words)) is expected


def test_a_hostile_pattern_takes_no_time():
    assert not topic_matches(".".join(["#", "a"] * 60), ".".join(["a"] * 59 + ["b"]))


def topology(exchanges, queues):
    spec = {"crawl": "c"}
    return Topology.model_validate(
        {
            "exchanges": exchanges,
            "queues": {name: {**spec, "bindings": bindings} for name, bindings in queues.items()},
            "crawls": {"c": {"exchange": next(iter(exchanges))}},
        }
    )


def test_a_direct_exchange_takes_the_key_as_it_stands():
    made = topology({"x": {"type": "direct"}}, {"q": [{"exchange": "x", "key": "a.*"}]})
    assert queues_reached(made, "x", "a.*") == {"q"}
    assert queues_reached(made, "x", "a.b") == frozenset()


def test_a_fanout_exchange_takes_every_key_for_every_queue():
    made = topology({"x": {"type": "fanout"}}, {"q": [{"exchange": "x"}], "r": [{"exchange": "x", "key": "k"}]})
    assert queues_reached(made, "x", "anything") == {"q", "r"}


def test_a_headers_exchange_counts_as_reaching_all():
    made = topology({"x": {"type": "headers"}}, {"q": [{"exchange": "x", "arguments": {"a": 1}}]})
    assert queues_reached(made, "x", "") == {"q"}


def test_exchanges_bound_to_exchanges_are_followed_and_circles_end():
    made = topology(
        {
            "x": {"type": "topic", "bindings": [{"exchange": "y"}]},
            "y": {"type": "fanout", "bindings": [{"exchange": "x", "key": "go.#"}]},
        },
        {"q": [{"exchange": "y"}]},
    )
    assert queues_reached(made, "x", "go.on") == {"q"}
    assert queues_reached(made, "x", "stay") == frozenset()


def test_an_alternate_exchange_gets_only_what_no_binding_wants():
    made = topology(
        {"x": {"type": "direct", "alternate": "y"}, "y": {"type": "fanout"}},
        {"q": [{"exchange": "x", "key": "a"}], "rest": [{"exchange": "y"}]},
    )
    assert queues_reached(made, "x", "a") == {"q"}
    assert queues_reached(made, "x", "b") == {"rest"}


def test_an_unknown_exchange_reaches_nothing():
    assert queues_reached(topology({"x": {"type": "fanout"}}, {"q": [{"exchange": "x"}]}), "nope", "") == frozenset()


def test_the_keys_bound_at_an_exchange_are_listed_once():
    made = topology(
        {"x": {"type": "direct"}, "y": {"type": "fanout", "bindings": [{"exchange": "x", "key": "b"}]}},
        {"q": [{"exchange": "x", "key": "a"}], "r": [{"exchange": "x", "key": "a"}]},
    )
    assert keys_bound(made, "x") == ("a", "b")
