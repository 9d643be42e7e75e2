# ruff: noqa: E501  # a mistake is one line, as it is for its reader
"""Every mistake in exchanges.yaml is named with file, line, key path and what would be right."""

import dataclasses
import logging
from pathlib import Path

import pytest

from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology_file import MAX_FILE_BYTES, Found, find, load, parse_topology

REPOSITORY = Path(__file__).parents[2]

GOOD = """\
exchanges:
  x: {type: topic}
  y: {type: direct}
queues:
  news.front:
    crawl: news
    bindings:
      - {exchange: x, key: news.front}
crawls:
  news: {exchange: x, key: news.front}
"""


def mistakes(text):
    with pytest.raises(TopologyInvalid) as caught:
        parse_topology(text, "exchanges.yaml")
    assert caught.value.exit_code == 3
    assert caught.value.remedy
    lines = str(caught.value).splitlines()
    return lines[1:] if len(lines) > 1 else lines


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_is_read():
    topology = parse_topology(GOOD, "exchanges.yaml")
    assert topology.queues["news.front"].bindings[0].key == "news.front"


def test_networks_are_read_in_both_families_and_single_addresses_too():
    text = changed(CRAWL, CRAWL + " allow_networks: [10.0.0.0/8, 10.1.2.3, 'fd00::/8', '::1'],")
    read = parse_topology(text, "exchanges.yaml").crawls["news"].allow_networks
    assert list(map(str, read)) == ["10.0.0.0/8", "10.1.2.3/32", "fd00::/8", "::1/128"]


def test_the_packaged_file_is_in_order():
    load(Found(REPOSITORY / "exchanges.yaml", "test"))


QUEUE = "    crawl: news"
CRAWLS = "crawls:"
Y = "y: {type: direct}"
CRAWL = "news: {exchange: x,"
MAPPING = "must be a mapping; write lines of 'key: value', indented, or {key: value}"
TYPES = "'direct', 'topic', 'fanout' or 'headers'"


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("- {exchange: x,", "- {exchange: xx,", "8: queues.news.front.bindings.0.exchange: no exchange is called 'xx'; did you mean 'x'?"),
        (QUEUE, "    crawl: newz", "6: queues.news.front.crawl: no crawl is called 'newz'; did you mean 'news'?"),
        (CRAWL, "news: {exchange: far,", "10: crawls.news.exchange: no exchange is called 'far'; declared exchanges: x, y"),
        (QUEUE, "    crawl: news\n    typ: classic", "7: queues.news.front.typ: unknown key; did you mean 'type'?"),
        (CRAWLS, "wishes: 1\ncrawls:", "9: wishes: unknown key; keys known here: connection, crawls, exchanges, inboxes, items, queues, redis"),
        (QUEUE + "\n", "", "5: queues.news.front.crawl: missing; add 'crawl'"),
        (Y, "y: {type: driect}", f"3: exchanges.y.type: must be {TYPES}; did you mean 'direct'?"),
        (Y, "y: {type: 7}", f"3: exchanges.y.type: must be {TYPES}; write one of these"),
        (Y, "404: {type: direct}", "3: exchanges.404: must be text, but YAML reads a number; put it in quotes"),
        (Y, "a b: {type: direct}", "3: exchanges.a b: not a name; names are letters, digits and . _ : -"),
        (Y, "y: topic", f"3: exchanges.y: {MAPPING}"),
        (Y, "y:", f"3: exchanges.y: {MAPPING}"),
        (Y, Y + "\n  y: {type: fanout}", "4: exchanges.y: the key stands twice; first in line 3; keep one of the two"),
        (CRAWLS, "connection: {heartbeat_s: 0}\ncrawls:", "9: connection.heartbeat_s: must be greater than or equal to 1"),
        (CRAWLS, "connection: {nodes: []}\ncrawls:", "9: connection.nodes: must not be empty; give at least one"),
        (CRAWLS, "connection: {nodes: a}\ncrawls:", "9: connection.nodes: must be a list; write [a, b], or one line '- a' for each"),
        (CRAWLS, "connection: {tls: {keyfile: x}}\ncrawls:", "9: connection.tls.keyfile: unknown key; did you mean 'key_file'?"),
        (QUEUE, "    crawl: #news", "6: queues.news.front.crawl: empty; give it a value; one that begins with # or * needs quotes"),
        (QUEUE, "    crawl: [a]", "6: queues.news.front.crawl: must be text, not a list; write one value"),
        (CRAWL, CRAWL + " scope: {deny: [a, '(']},", "10: crawls.news.scope.deny.1: not a regular expression: missing ), unterminated subpattern at position 0; Python's re syntax is used"),
        (QUEUE, QUEUE + "\n    max_priority: 3", "5: queues.news.front: max_priority needs type: classic; quorum queues refuse it, in RabbitMQ 4 too"),
        (QUEUE, QUEUE + "\n    type: classic\n    delivery_limit: 3", "5: queues.news.front: delivery_limit needs type: quorum; classic queues do not count redeliveries"),
        ("key: news.front}\nc", "key: news.front, arguments: {a: 1.5}}\nc", "8: queues.news.front.bindings.0.arguments.a: must be text, a whole number, true or false"),
        ("key: news.front}\nc", f"key: {'n' * 256}}}\nc", "8: queues.news.front.bindings.0.key: too long; a routing key has at most 255 bytes"),
        ("key: news.front}\nc", 'key: "a\\nb"}\nc', "8: queues.news.front.bindings.0.key: a control character in a routing key; keys are written in one line"),
        (CRAWL, CRAWL + " allow_networks: [10.0.0.0/8, intranet],", "10: crawls.news.allow_networks.1: no network; write 10.0.0.0/8, or 10.1.2.3 for one address"),
        (CRAWL, CRAWL + " allow_networks: [10.1.2.3/8],", "10: crawls.news.allow_networks.0: an address inside of a network; write 10.0.0.0/8, or the address alone"),
        (CRAWL, CRAWL + " allow_networks: 10.0.0.0/8,", "10: crawls.news.allow_networks: must be a list; write [a, b], or one line '- a' for each"),
        (CRAWL, CRAWL + " scope: {ports: [80, 25]},", "10: crawls.news.scope.ports.1: another protocol's port, where no web page is; leave it out"),
        (CRAWL, CRAWL + " scope: {ports: [99999]},", "10: crawls.news.scope.ports.0: must be less than or equal to 65535"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_where_it_is_with_what_would_be_right(old, new, mistake):
    # What follows from it (a crawl that no queue serves any more) may come after it.
    assert mistakes(changed(old, new))[0] == f"exchanges.yaml:{mistake}"


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file():
    text = (
        changed("type: topic", "type: tropic")
        .replace("crawl: news", "crawl: 5")
        .replace("{exchange: x, key: news.front}\n", "{}\n")
    )
    lines = mistakes(text)
    assert [line.split(": ")[0] for line in lines] == [
        "exchanges.yaml:2",
        "exchanges.yaml:6",
        "exchanges.yaml:8",
        "exchanges.yaml:10",
    ]


@pytest.mark.parametrize(
    "name", ["crawl.delay.250", "crawl.unrouted", "crawl.redeliver", "crawl.dead", "dead.x", "x.due", "amq.x"]
)
def test_names_that_are_derived_may_not_be_chosen(name):
    (as_exchange,) = mistakes(changed("  y:", f"  {name}:"))
    assert f"exchanges.{name}: a reserved name; choose another" in as_exchange
    as_queue = mistakes(changed("  news.front:", f"  {name}:"))
    assert f"queues.{name}: a reserved name" in as_queue[0]


def test_bindings_need_what_their_exchange_routes_by():
    text = changed("crawls:", "      - {exchange: x}\n      - {exchange: y}\n      - {exchange: h}\ncrawls:")
    text = text.replace("  y:", "  h: {type: headers}\n  y:")
    topic, direct, headers = mistakes(text)
    assert "bindings.1.key: a topic exchange routes by key, and this binding has none; write '#'" in topic
    assert "bindings.2.key: a direct exchange routes by key" in direct
    assert "bindings.3.arguments: a headers exchange routes by arguments; write {x-match: all" in headers


@pytest.mark.parametrize(
    ("crawl", "path"),
    [
        ("{exchange: x, key: nope}", "crawls.news.key"),
        ("{exchange: x, key: news.front, seed_key: nope}", "crawls.news.seed_key"),
        ("{exchange: x, key: news.front, routes: [{match: a, key: nope}]}", "crawls.news.routes.0.key"),
        ("{exchange: x, key: news.front, routes: [{match: a, key: k, exchange: y}]}", "crawls.news.routes.0.key"),
    ],
)
def test_a_key_that_reaches_no_queue_of_the_crawl_is_a_mistake(crawl, path):
    (line,) = mistakes(changed("news: {exchange: x, key: news.front}", f"news: {crawl}"))
    assert line.startswith(f"exchanges.yaml:10: {path}: exchange ")
    assert "to no queue of crawl 'news'; bind one of its queues; bound there: " in line


def test_a_routes_unknown_exchange_is_named_at_the_route():
    text = GOOD.replace("news: {exchange: x,", "news: {routes: [{match: a, key: k, exchange: z}], exchange: x,")
    assert mistakes(text) == [
        "exchanges.yaml:10: crawls.news.routes.0.exchange: no exchange is called 'z'; declared exchanges: x, y"
    ]


def test_a_crawl_without_a_queue_is_a_mistake():
    (line,) = mistakes(GOOD + "  idle: {exchange: x, key: news.front}\n")
    assert line == "exchanges.yaml:11: crawls.idle: no queue serves this crawl; give a queue 'crawl: idle'"


def test_a_key_that_also_reaches_another_crawls_queue_is_a_mistake():
    queue = "  other: {crawl: docs, bindings: [{exchange: x, key: 'news.#'}, {exchange: y, key: d}]}"
    (line,) = mistakes(changed("crawls:", f"{queue}\ncrawls:\n  docs: {{exchange: y, key: d}}"))
    assert "crawls.news.key: the key 'news.front' also reaches 'other', a queue of crawl 'docs'" in line


def grouped(crawl, **bindings):
    """A topology of one crawl, each of whose groups has one queue with these bindings."""
    queues = "".join(
        f"  q.{group}: {{crawl: c, group: {group}, bindings: [{bound}]}}\n" for group, bound in bindings.items()
    )
    exchanges = "exchanges:\n  x: {type: topic, alternate: y}\n  y: {type: fanout}\n  h: {type: headers}\n"
    return f"{exchanges}queues:\n{queues}crawls:\n  c: {crawl}\n"


FRONTS, ALL, REST = "{exchange: x, key: front}", "{exchange: x, key: '#'}", "{exchange: y}"
HEADED = "{exchange: h, arguments: {x-match: any, a: 1}}"


@pytest.mark.parametrize(
    ("crawl", "path"),
    [
        ("{exchange: x, key: other}", "key"),
        ("{exchange: x, key: front, seed_key: other}", "seed_key"),
        ("{exchange: x, key: front, routes: [{match: a, key: other}]}", "routes.0.key"),
    ],
)
def test_a_key_that_passes_a_group_by_is_a_mistake(crawl, path):
    (line,) = mistakes(grouped(crawl, a=ALL, b=FRONTS))
    assert line == (
        f"exchanges.yaml:9: crawls.c.{path}: exchange 'x' brings the key 'other' to no queue of group 'b'; "
        "bind one of its queues (bound there: '#', 'front'): every group of a crawl gets every URL"
    )


def test_each_group_that_is_passed_by_is_named():
    lines = mistakes(grouped("{exchange: x, key: other}", a=ALL, b=FRONTS, c=HEADED))
    assert [line.partition("to no queue of ")[2].partition(";")[0] for line in lines] == ["group 'b'", "group 'c'"]


def test_an_alternate_that_is_never_taken_brings_a_group_nothing():
    (line,) = mistakes(grouped("{exchange: x, key: other}", a=ALL, b=REST))
    assert "to no queue of group 'b'" in line


@pytest.mark.parametrize(
    ("crawl", "bindings"),
    [
        (
            "{exchange: x, key: other, seed_key: front}",
            {"a": ALL, "b": f"{FRONTS}, {{exchange: x, key: oth*r}}, {{exchange: x, key: '*'}}"},
        ),
        ("{exchange: x, key: other, seed_key: front}", {"a": f"{FRONTS}, {REST}", "b": f"{FRONTS}, {REST}"}),
        ("{exchange: y, routes: [{match: a, key: other, exchange: x}]}", {"a": REST, "b": REST}),
        ("{exchange: h}", {"a": HEADED, "b": HEADED.replace("any", "all")}),
    ],
    ids=["patterns", "keys and an alternate", "a fanout exchange and an alternate", "headers, which a key cannot tell"],
)
def test_groups_may_get_every_url_in_ways_of_their_own(crawl, bindings):
    parse_topology(grouped(crawl, **bindings), "exchanges.yaml")


def test_alternates_may_not_run_in_a_circle_nor_lead_nowhere():
    assert (
        "run in a circle (x <- y <- x)"
        in mistakes(
            GOOD.replace("type: topic", "type: topic, alternate: y").replace(
                "type: direct", "type: direct, alternate: x"
            )
        )[0]
    )
    assert mistakes(changed("type: topic", "type: topic, alternate: z")) == [
        "exchanges.yaml:2: exchanges.x.alternate: no exchange is called 'z'; declared exchanges: x, y"
    ]
    parse_topology(changed("type: topic", "type: topic, alternate: crawl.unrouted"), "f")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "f: empty; it needs exchanges, queues and crawls"),
        ("# nothing\n", "f: empty"),
        ("- a\n", "f: must be a mapping"),
        ("a: 1\nb: [1\n", "f:3: not YAML: while parsing a flow sequence"),
        ("a:\n\t- b\n", "f:2: not YAML: while scanning for the next token"),
        ("key: *.front\n", "f:1: not YAML: while scanning an alias"),
        ("a: !python/object:os.system x\n", "f:1: not YAML: could not determine a constructor"),
        ("a: 1\n---\nb: 1\n", "f:2: not YAML: expected a single document"),
        ("a: \x07\n", "f:1: unreadable character"),
        ("a: 2024-99-99\n", "f: unreadable number or date"),
        ("[" * 5000, "f: nested too deeply"),
        ("a: &a [*a]\n", "f:1: a: unknown key"),
        ("? [x]\n: y\n", "f:1: not YAML: while constructing a mapping, found unhashable key"),
    ],
)
def test_text_that_is_no_topology_is_refused_in_one_line(text, start):
    with pytest.raises(TopologyInvalid) as caught:
        parse_topology(text, "f")
    assert any(line.startswith(start) for line in str(caught.value).splitlines()), str(caught.value)


def test_merge_keys_may_be_overridden_and_know_their_lines():
    text = GOOD + "  more: &m {exchange: x, key: news.front}\n  evenmore: {<<: *m, key: nope}\n"
    lines = mistakes(text.replace("crawl: news", "crawl: more"))
    assert [line for line in lines if ":12: crawls.evenmore" in line]


@pytest.mark.parametrize(
    "section",
    [
        "connection: {nodes: ['amqp://me:hunter2@host']}",
        "connection: {nodes: ['me:hunter2@host']}",
        "connection: {password: [hunter2]}",
        "connection: {passwort: hunter2}",
        "connection: {management: 'http://me:hunter2@host'}",
        "redis: {url: 'http://:hunter2@host'}",
        "redis: hunter2",
    ],
)
def test_what_may_be_a_password_is_never_repeated(section):
    assert "hunter2" not in "\n".join(mistakes(f"{section}\n{GOOD}"))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a" * (MAX_FILE_BYTES + 1)])
def test_a_file_that_is_no_topology_is_refused(tmp_path, content):
    path = tmp_path / "exchanges.yaml"
    path.write_bytes(content)
    with pytest.raises(TopologyInvalid, match=r"exchanges\.yaml"):
        load(Found(path, "test"))


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(TopologyInvalid) as caught:
        load(Found(tmp_path / name, "--topology"))
    assert str(tmp_path) in str(caught.value)
    assert "--topology" in caught.value.remedy


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "exchanges.yaml"
    path.write_text(GOOD, encoding="utf-8-sig")
    load(Found(path, "test"))


def test_the_option_comes_before_the_variable_before_the_folder_before_the_package(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    packaged = find()
    assert packaged.chosen_by == "packaged default"
    (tmp_path / "exchanges.yaml").write_text(GOOD)
    assert find() == Found(Path("exchanges.yaml"), "current directory")
    assert find(variable=Path("v")) == Found(Path("v"), "CRAWL_TOPOLOGY")
    assert find(Path("o"), Path("v")) == Found(Path("o"), "--topology")
    with caplog.at_level(logging.INFO):
        load(packaged)
        load(dataclasses.replace(find(), path=tmp_path / "exchanges.yaml"))
    assert "packaged default" in caplog.text
    assert "current directory" in caplog.text
