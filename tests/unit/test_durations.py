import pytest

from crawl_producer.durations import moment_ms, seconds, told


@pytest.mark.parametrize(
    ("text", "span_s"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("250ms", 0.25), ("1h30m", 5400),
     ("1.5h", 5400), ("0s", 0), ("1d2h3m4s", 93_784), ("1m500ms", 60.5)],
)  # fmt: skip
def test_numbers_with_units_are_a_span(text, span_s):
    assert seconds(text) == pytest.approx(span_s)


@pytest.mark.parametrize("text", ["", "90", "s", "-5m", "5 m", "1y", "m5", "5m ", "1e3s", "9999999999s", "٣s5"])
def test_anything_else_is_refused_with_what_would_be_right(text):
    with pytest.raises(ValueError, match="write 90s, 10m"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [("2026-12-01T08:00Z", 1_796_112_000_000), ("2026-12-01T10:00+02:00", 1_796_112_000_000),
     ("2026-12-01 08:00:00.250+00:00", 1_796_112_000_250)],
)  # fmt: skip
def test_iso_8601_with_a_time_zone_is_a_moment(text, unix_ms):
    assert moment_ms(text) == unix_ms


def test_a_moment_without_a_time_zone_is_refused_because_machines_differ_in_it():
    with pytest.raises(ValueError, match=r"names no time zone; write 2026-12-01T08:00Z"):
        moment_ms("2026-12-01T08:00")


@pytest.mark.parametrize("text", ["", "tomorrow", "08:00", "2026-13-01T00:00Z"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValueError, match="is no moment"):
        moment_ms(text)


@pytest.mark.parametrize(
    ("span_s", "text"),
    [(0, "0s"), (59.6, "1m"), (3661, "1h 1m"), (90, "1m 30s"), (273_600, "3d 4h"), (86_405, "1d 5s")],
)
def test_a_span_is_told_to_two_units(span_s, text):
    assert told(span_s) == text
