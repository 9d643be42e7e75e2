"""WARC files are read whatever a kill has left of them, and the oracle of archives bites."""

import base64
import gzip
import hashlib
from collections import Counter

import pytest

from crawl_dev.chaos.faults import Fetch
from crawl_dev.chaos.plan import Kind, SitePlan
from crawl_dev.chaos.truth_server import Answers, body
from crawl_dev.chaos.verdict_archive import complaints
from crawl_dev.chaos.warc_files import Archive, Capture, read

PLAN = SitePlan(3, 400)
PAGES = {kind: next(p for p in PLAN.reachable.values() if p.kind is kind) for kind in (Kind.OK, Kind.FLAKY, Kind.DOWN)}


def record(url="http://h0.test/p/0", content=b"<p>Hello", kind="response"):
    """One record as a gzip member."""
    block = b"HTTP/1.1 200 x\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content)
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": "<urn:uuid:12345678-1234-5678-1234-567812345678>",
        "WARC-Target-URI": url,
        "WARC-Payload-Digest": f"sha1:{base64.b32encode(hashlib.sha1(content).digest()).decode()}",
        "Content-Length": len(block),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return gzip.compress(b"WARC/1.1\r\n%b\r\n%b\r\n\r\n" % (head.encode(), block))


@pytest.fixture
def files(tmp_path):
    """Reads files with these contents: names as writers give them."""

    def reading(**contents):
        paths = [tmp_path / f"{name.replace('_', '-')}.warc.gz" for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content)
        return read(paths)

    return reading


def test_every_response_of_every_file_is_read_and_nothing_else(files):
    found = files(
        pages_a_00001=record(kind="warcinfo") + record() + record(content=b""),
        pages_b_00001=record(),
        pages_c_00001=b"",
    )
    hello = Capture("http://h0.test/p/0", 200, b"<p>Hello")
    assert Counter(found.captures) == {hello: 2, Capture("http://h0.test/p/0", 200, b""): 1}
    assert (found.torn, found.broken) == ([], [])


def test_a_last_record_that_is_cut_costs_nothing_but_itself(files):
    whole = record()
    for length in (1, 9, 11, len(whole) // 2, len(whole) - 1):
        found = files(pages_a_00001=whole + whole[:length])
        assert (len(found.captures), found.torn, found.broken) == (1, ["pages-a-00001.warc.gz"], [])


def test_only_a_writers_newest_file_may_be_cut(files):
    found = files(pages_a_00001=record()[:-1], pages_a_00002=record(), pages_b_00003=record())
    assert found.torn == []
    assert found.broken == ["pages-a-00001.warc.gz: it is cut, though its writer went on in another file"]


def tampered(old, new):
    return gzip.compress(gzip.decompress(record()).replace(old, new))


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip at all",
        record()[:-20] + record(),
        tampered(b"Hello", b"Hullo"),
        tampered(b"Hello", b"Hello!"),
        tampered(b"WARC/1.1", b"WARC/1.0"),
        tampered(b"\r\n", b"\n"),
        tampered(b"WARC-Target-URI", b"WARC-Forgotten"),
    ],
    ids=["no gzip", "cut in the middle", "another body", "longer", "another version", "no head", "no URL"],
)
def test_what_no_kill_explains_is_broken(files, content):
    (said,) = files(pages_a_00001=content).broken
    assert said.startswith("pages-a-00001.warc.gz: ")


def flawless():
    """The log of an undisturbed crawl, and the captures of all its answers."""
    answers, fetches, captures = Answers(PLAN), [], []
    for url, page in PLAN.reachable.items():
        for n in range(page.fetches):
            status, _, content = answers.answer(f"/p/{page.number}")
            fetches.append(Fetch(100.0 + n, "c1", url, status))
            captures.append(Capture(url, status, content))
    return fetches, captures


def said_of(captures, fetches=None, deaths=0, torn=(), broken=()):
    fetches = flawless()[0] if fetches is None else fetches
    return "\n".join(complaints(PLAN, fetches, Archive(captures, torn, broken), deaths=deaths))


def without(captures, page, times=1):
    """All captures but so many of a page."""
    rest = list(captures)
    for _ in range(times):
        rest.remove(next(one for one in rest if one.url == PLAN.url(page.number)))
    return rest


def test_an_archive_of_every_answer_passes():
    assert said_of(flawless()[1]) == ""


def test_every_page_has_a_capture():
    page = PAGES[Kind.OK]
    assert f"1 are not in the archive: {PLAN.url(page.number)}" in said_of(without(flawless()[1], page))


def test_every_attempt_at_a_page_that_fails_for_ever_has_a_capture():
    assert "1 are in the archive less often" in said_of(without(flawless()[1], PAGES[Kind.DOWN]))


def test_the_first_attempt_at_a_page_may_have_died_with_its_consumer():
    assert said_of(without(flawless()[1], PAGES[Kind.FLAKY])) == ""
    assert "1 are not in the archive" in said_of(without(flawless()[1], PAGES[Kind.FLAKY], times=2))


def test_a_second_capture_needs_a_second_answer():
    fetches, captures = flawless()
    page = PAGES[Kind.OK]
    again = Capture(PLAN.url(page.number), 200, body(PLAN, page))
    assert "1 captures are of no answer" in said_of([*captures, again])
    assert said_of([*captures, again], [*fetches, Fetch(600.0, "c2", again.url, 200)]) == ""


def test_a_capture_has_the_body_that_the_site_gave():
    fetches, captures = flawless()
    page = PAGES[Kind.OK]
    other = Capture(PLAN.url(page.number), 200, b"<p>Something else")
    assert "1 captures have another body" in said_of([*without(captures, page), other], fetches)


def test_each_cut_file_needs_a_killed_process_and_a_broken_one_is_never_explained():
    captures = flawless()[1]
    assert said_of(captures, torn=["a", "b"], deaths=2) == ""
    assert "2 files are cut, and 1 processes were killed" in said_of(captures, torn=["a", "b"], deaths=1)
    assert "a: no gzip" in said_of(captures, broken=["a: no gzip"], deaths=9)
