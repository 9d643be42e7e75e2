import json
from collections import Counter

from pika.compat import long

from crawl_producer import dead_render
from crawl_producer.dead_ends import Ended
from crawl_producer.dead_letters import Letter
from dead_kit import body, headers


class Came:
    def __init__(self, body, headers):
        self.body, self.headers, self.message_id, self.doubt = body, headers, "id", ""


def letter(message=None, **changes):
    came = Came(body(0) if message is None else message, headers(0, **changes))
    return came, Letter.of(came, queue="q", crawl="c")


def test_a_line_stands_under_its_header():
    _, told = letter(reason="timeout: " + "x" * 100)
    line = dead_render.line(told)
    assert line.index("https://") == dead_render.HEADER.index("url")
    assert line.startswith("1970-01-01 00:00:01  q ")
    assert line.index("timeout: x") == dead_render.HEADER.index("reason")
    assert "x…  https" in line


def test_what_strangers_wrote_cannot_steer_the_terminal():
    came, told = letter(b"\x1b]0;owned\x07", reason="boom\x1b[2J\nnext line")
    shown = dead_render.fields(dead_render.whole(came, told))
    for text in (dead_render.line(told), shown):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "\n" not in dead_render.line(told)


def test_times_that_are_none_are_shown_as_they_are():
    _, told = letter(died_ms=1 << 62)
    assert str(1 << 62) in dead_render.line(told)


def test_integers_are_shown_as_integers_whatever_the_client_makes_of_them():
    came, told = letter(died_ms=long(1_700_000_000_000), attempts=long(4))
    assert told.identity == "1700000000000"
    assert "L" not in str(dead_render.whole(came, told)["headers"])


def test_an_end_is_told_with_what_stays_and_why():
    ended = Ended(replayed=1200, already=3, skipped=Counter({"body: Invalid\x1b": 2}))
    assert dead_render.told(ended, replay=True).splitlines() == [
        "1,200 replayed, 3 had ended since, 2 cannot be replayed",
        r"  2 stay: body: Invalid\x1b",
    ]
    assert json.loads(json.dumps(ended.as_dict()))["skipped"] == {"body: Invalid\x1b": 2}
    assert dead_render.told(Ended(dropped=5), replay=False) == "5 dropped"
    assert dead_render.told(Ended(dropped=5, given_up=1), replay=False) == "5 dropped (1 of their URLs were still open)"
