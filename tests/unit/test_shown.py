"""What people are shown of others' texts: logins, tokens and control characters are not in it, all else is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_dedup.shown import LOOKED_AT_CHARS, MAX_CHARS, Secrets, escaped, redacted, shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://user:pass@h.example/a", "https://***@h.example/a"),
        ("https://ghp_token@h.example/", "https://***@h.example/"),
        ("HTTPS://U:P@h.example", "HTTPS://***@h.example"),
        ("https://a:b@c@h.example/", "https://***@h.example/"),
        ("http:\\\\u:p@h.example", "http:\\\\***@h.example"),
        ("http://u:p/w@h.example/x", "http://***@h.example/x"),
        ("amqp://me:hunter2@rabbit:5672/%2f", "amqp://me:***@rabbit:5672/%2f"),
        ("redis://:p@ss/w:ord@[::1]:6379/0", "redis://:***@[::1]:6379/0"),
        ("postgresql+psycopg://u:p/w@db/x", "postgresql+psycopg://u:***@db/x"),
        ("redis+sentinel://u:p@a:1,b:2/m/0?sentinel_password=x", "redis+sentinel://u:***@a:1,b:2/m/0?sentinel_password=***"),
        ("https://h/?q=1&access_token=abc&r=2", "https://h/?q=1&access_token=***&r=2"),
        ("https://h/?X-Amz-Credential=a%2Fb&X-Amz-Signature=ff", "https://h/?X-Amz-Credential=***&X-Amz-Signature=***"),
        ("https://h/a;jsessionid=12?PHPSESSID=3", "https://h/a;jsessionid=***"),
        ("https://h/?PHPSESSID=3&password=a?b", "https://h/?PHPSESSID=***&password=***"),
        ("https://h/?user%5Bpassword%5D=x&api_key=y&apikey=z", "https://h/?user%5Bpassword%5D=***&api_key=***&apikey=***"),
        ("https://h/cb#id_token=ey.J&state=1", "https://h/cb#id_token=***&state=1"),
        ("failed: password=hunter2 for x", "failed: password=*** for x"),
        ("https://h/?authorization=abc&authorisation=d", "https://h/?authorization=***&authorisation=***"),
        ("https://h/?to=https%3A%2F%2Fi%2F%3Ftoken%3Dabc%26a%3Db&c=d", "https://h/?to=https%3A%2F%2Fi%2F%3Ftoken%3D***&c=d"),
        (f"https://h/?to={'x' * 99}%3fa%3db%26code%3dabc", f"https://h/?to={'x' * 99}%3fa%3db%26code%3d***"),
    ],
)  # fmt: skip
def test_what_lets_somebody_in_is_not_shown(text, told):
    assert shown(text) == redacted(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "https://medium.example/@user/a-story",
        "http://host:8080/@x?y=a@b",
        "http://[::1]:80/a?b=c:d amqp://me@host:5672 a:b@c",
        "https://h/?author=me&authority=a&monkey=5&zipcode=7&page=2&q=key&to=a%3Fq%3Dkey%26author%3Da",
        "no queue is bound for exchange 'x', key 'page'",
        "größer, 大, ѣ",
        "",
    ],
)
def test_whatever_lets_nobody_in_stays_as_it_is(text):
    assert shown(text) == text


def test_control_characters_are_escaped_and_long_texts_cut():
    assert shown("\x1b[31mred\x9b2J\u202e\r\nnext\x00\ud800") == r"\x1b[31mred\x9b2J\u202e\r\nnext\x00\ud800"
    assert escaped("a\tb") == r"a\tb"
    long = shown("x" * 10_000)
    assert (len(long), long[-1]) == (MAX_CHARS, "…")
    assert shown("abcdef", 4) == "abc…"


@given(st.text())
def test_whatever_is_shown_is_one_printable_line(text):
    line = shown(text)
    assert line.isprintable()
    assert len(line) <= MAX_CHARS


@pytest.mark.parametrize(
    "piece",
    ["a.%-", "token", "http://", "a:", "http://a:", "=", "key=", "-key", "[%", "https://u@", "a_auth", "%3d", "%26key"],
)
def test_no_text_takes_long_to_look_at(piece):
    text = piece * (LOOKED_AT_CHARS // len(piece)) + "@="
    began = time.process_time()
    shown(text)
    assert time.process_time() - began < 1


def test_known_secrets_are_hidden_wherever_they_turn_up_also_as_they_stand_in_a_url():
    secrets = Secrets()
    secrets.add("correct horse/battery", "guest", "")
    assert secrets.hidden("x correct horse/battery y") == "x *** y"
    assert secrets.hidden("a=correct%20horse%2Fbattery") == "a=***"
    # What is so short stands in other words as well.
    assert secrets.hidden("user guest") == "user guest"
    assert "horse" not in repr(secrets)
