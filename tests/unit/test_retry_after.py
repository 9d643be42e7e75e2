import pytest

from crawl_consumer.retry_after import LONGEST_MS, retry_after_ms

#: Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, 5.6.7.
NOW_S = 784111777.0


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        ("120", 120_000),
        (" 120 ", 120_000),
        ("0", 0),
        ("99999999999999999999", LONGEST_MS),
        ("86401", LONGEST_MS),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120_000),
        ("Sunday, 06-Nov-94 08:51:37 GMT", 120_000),
        ("Sun Nov  6 08:51:37 1994", 120_000),
        ("Sun, 06 Nov 1994 09:51:37 +0100", 120_000),
        ("Sun, 06 Nov 1994 08:51:37 -0000", 120_000),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Fri, 31 Dec 2099 23:59:59 GMT", LONGEST_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_MS),
        ("Sun, 99 Nov 1994 08:49:37 GMT", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("²", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_both_forms_are_understood_and_nonsense_asks_for_nothing(value, expected_ms):
    assert retry_after_ms(value, now_s=NOW_S) == expected_ms
