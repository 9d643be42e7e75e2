"""Files of a process' own: names, rotation, columns, full disks; and which output a name means."""

import asyncio
import contextlib
import csv
import errno
import gzip
import io
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from backports import zstd
from pydantic import BaseModel
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker
from warcio.exceptions import ArchiveLoadFailed

from crawl_consumer.errors import ItemInvalid, OutputFailed, OutputInvalid
from crawl_consumer.response import Headers, Response
from crawl_consumer.sink import NullSink, Record
from crawl_consumer.sinks import exchange, series
from crawl_consumer.sinks.choosing import Surroundings, sink_for
from crawl_consumer.sinks.exchange import ExchangeSink
from crawl_consumer.sinks.files import FilesSink
from crawl_consumer.sinks.jsonlines import JsonLinesSink
from crawl_consumer.sinks.redis_list import RedisListSink
from crawl_consumer.sinks.series import FileSeries
from crawl_consumer.sinks.several import SeveralSinks
from crawl_consumer.sinks.sql import SqlSink
from crawl_consumer.sinks.warc import WarcSink
from crawl_producer.errors import PublishRefused
from crawl_producer.rotation import Rotation, read_rotation
from sink_worlds import article

AROUND = Surroundings(broker=object(), redis=object(), writer="w")


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("-", JsonLinesSink),
        ("items.jsonl", JsonLinesSink),
        ("folder/", JsonLinesSink),
        ("items.jsonl.gz", FilesSink),
        ("items.csv", FilesSink),
        ("items.CSV.zst", FilesSink),
        ("sqlite:///items.db", SqlSink),
        ("exchange:crawl.items/item.{kind}", ExchangeSink),
        ("redis:docs:items", RedisListSink),
        ("pages.warc.gz", WarcSink),
    ],
)
def test_a_name_says_which_output_is_meant(output, kind):
    assert isinstance(sink_for(output, AROUND, Rotation()), kind)


@pytest.mark.parametrize("output", ["exchange:", "redis:", "nosuchdb://here/items"])
def test_a_name_that_means_nothing_is_refused_with_a_remedy(output):
    with pytest.raises(OutputInvalid) as refused:
        sink_for(output, AROUND, Rotation())
    assert refused.value.remedy
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "rotation"),
    [
        ("100MB", Rotation(bytes=100_000_000)),
        ("1.5kB", Rotation(bytes=1500)),
        ("1GiB", Rotation(bytes=2**30)),
        ("7B", Rotation(bytes=7)),
        ("90m", Rotation(seconds=5400)),
        ("1h30m", Rotation(seconds=5400)),
    ],
)
def test_a_rotation_is_a_size_or_a_time(text, rotation):
    assert read_rotation(text) == rotation


@pytest.mark.parametrize("text", ["", "100", "MB", "1TB2"])
def test_anything_else_is_no_rotation(text):
    with pytest.raises(ValueError, match="neither a size nor a time"):
        read_rotation(text)


def appended(tmp_path, rotation, *groups):
    files = FileSeries(tmp_path / "new" / "x.csv.gz", writer="w", rotation=rotation, head=lambda: b"head\n")
    for group in groups:
        files.append(group)
    files.close()
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "new").iterdir())}


def test_a_full_file_is_left_and_the_next_begins_with_the_head(tmp_path):
    assert appended(tmp_path, Rotation(bytes=8), b"one\n", b"two\n", b"three\n") == {
        "x-w-00001.csv.gz": b"head\none\n",
        "x-w-00002.csv.gz": b"head\ntwo\n",
        "x-w-00003.csv.gz": b"head\nthree\n",
    }


def test_an_old_file_is_left_when_the_next_group_comes(tmp_path, monkeypatch):
    now_s = iter([100.0, 159.9, 160.0, 160.0])
    monkeypatch.setattr(series.time, "monotonic", lambda: next(now_s))
    assert appended(tmp_path, Rotation(seconds=60), b"one\n", b"two\n", b"three\n") == {
        "x-w-00001.csv.gz": b"head\none\ntwo\n",
        "x-w-00002.csv.gz": b"head\nthree\n",
    }


def test_what_did_not_fit_on_the_disk_is_taken_back(tmp_path, monkeypatch):
    files = FileSeries(tmp_path / "x.csv", writer="w", rotation=Rotation())
    files.append(b"one\n")
    write, left = os.write, [2]

    def full(fd, data):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[: left.pop()])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            files.append(b"two\n")
    files.append(b"three\n")
    files.close()
    assert (tmp_path / "x-w-00001.csv").read_bytes() == b"one\nthree\n"


def test_no_writer_goes_on_with_a_file_that_is_there(tmp_path):
    for _ in range(2):
        files = FileSeries(tmp_path / "x.csv", writer="w", rotation=Rotation())
        if (tmp_path / "x-w-00001.csv").exists():
            with pytest.raises(FileExistsError):
                files.append(b"two\n")
        else:
            files.append(b"one\n")
        files.close()


def written(sink, *records, responses=()):
    async def main():
        async with sink:
            for record in records:
                sink.write(record)
            for response in responses:
                assert sink.archive(response)
            await sink.flush()

    asyncio.run(main())


def test_each_kind_of_item_has_its_own_csv_and_columns(tmp_path):
    sink = FilesSink(tmp_path / "x.csv", writer="w", rotation=Rotation())
    when = datetime(2026, 1, 2, tzinfo=UTC)
    written(sink, article(1, words=3), Record("a.1", 0, {"when": when, "tags": ["x", "y"]}), article(2))
    kept = {path.name: list(csv.DictReader(path.read_text().splitlines())) for path in tmp_path.iterdir()}
    assert kept == {
        "Article-x-w-00001.csv": [
            {"title": "a title", "words": "3", "_key": "3f.1.0"},
            {"title": "a title", "words": "", "_key": "3f.2.0"},
        ],
        "item-x-w-00001.csv": [{"when": "2026-01-02T00:00:00Z", "tags": '["x","y"]', "_key": "a.1.0"}],
    }


def test_a_field_without_a_column_is_refused(tmp_path):
    sink = FilesSink(tmp_path / "x.csv", writer="w", rotation=Rotation())

    async def main():
        async with sink:
            sink.write(Record("a.1", 0, {"n": 1}))
            with pytest.raises(ItemInvalid, match="'m' is no column"):
                sink.write(Record("a.2", 0, {"n": 1, "m": 2}))

    asyncio.run(main())


class Everything(BaseModel):
    flag: bool
    big: int
    ratio: float | None
    text: str
    raw: bytes
    when: datetime
    day: date
    price: Decimal
    tags: list[str]
    nested: dict[str, int] | None = None


EVERYTHING = {
    "flag": True,
    "big": 2**62,
    "ratio": 0.5,
    "text": "NUL \0 and half \ud800 a character",
    "raw": b"\xff",
    "when": datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
    "day": date(2026, 1, 2),
    "price": Decimal("12.50"),
    "tags": ["a"],
}


def test_fields_become_columns_of_their_types(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    item = Everything(**EVERYTHING | {"text": "plain"})
    written(SqlSink(url), Record("a.1", 0, item.model_dump() | {"text": EVERYTHING["text"]}, Everything))
    table = sa.Table("everything", sa.MetaData(), autoload_with=(engine := sa.create_engine(url)))
    kinds = {column.name: str(column.type) for column in table.columns}
    assert kinds == {
        "_page": "VARCHAR(64)", "_number": "INTEGER", "flag": "BOOLEAN", "big": "BIGINT", "ratio": "DOUBLE",
        "text": "TEXT", "raw": "BLOB", "when": "DATETIME", "day": "DATE", "price": "NUMERIC(38, 12)",
        "tags": "JSON", "nested": "JSON",
    }  # fmt: skip
    with engine.connect() as connection:
        row = connection.execute(sa.select(table)).one()
    engine.dispose()
    assert (row.flag, row.big, row.ratio, row.raw, row.day, row.tags, row.nested) == (
        True, 2**62, 0.5, b"\xff", date(2026, 1, 2), ["a"], None,
    )  # fmt: skip
    assert row.text == "NUL \N{REPLACEMENT CHARACTER} and half ? a character"


@pytest.mark.parametrize(
    ("field", "value"), [("big", 2**63), ("big", "1"), ("text", 1), ("when", "today"), ("tags", [object()])]
)
def test_a_value_that_does_not_fit_its_column_is_named(tmp_path, field, value):
    async def main():
        async with SqlSink(f"sqlite:///{tmp_path}/x.db") as sink:
            with pytest.raises(ItemInvalid, match=f"'{field}'"):
                sink.write(Record("a.1", 0, EVERYTHING | {field: value}, Everything))

    asyncio.run(main())


def test_a_plain_mapping_is_one_column_of_json(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    written(SqlSink(url), Record("a.1", 0, {"n": [1, {"m": None}]}))
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT _page, _number, item FROM item")).all() == [
            ("a.1", 0, '{"n": [1, {"m": null}]}')
        ]
    engine.dispose()


def test_a_page_with_fewer_items_than_before_leaves_no_old_row(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    written(SqlSink(url), article(1, 0), article(1, 1), article(2, 0))
    written(SqlSink(url), article(1, 0, "new"))
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT _page, title FROM article ORDER BY _page")).all()
    engine.dispose()
    assert rows == [("3f.1", "new"), ("3f.2", "a title")]


def test_a_table_that_lacks_a_column_is_an_error_that_names_it(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE article (_page TEXT, _number INTEGER, title TEXT)"))
    engine.dispose()
    with pytest.raises(OutputFailed, match="article has no column words"):
        written(SqlSink(url), article(1))


def test_a_password_is_in_no_message(tmp_path):
    with pytest.raises(OutputInvalid) as refused:
        sink_for("nosuchdb://user:secret@host/db", AROUND, Rotation())
    assert "secret" not in str(refused.value)
    with pytest.raises(OutputInvalid) as refused:
        sink_for("sqlite://user:secret@/x.db", AROUND, Rotation())
    assert "secret" not in str(refused.value)


def response(url, status=200, body=b"<p>hello", reason="OK", **headers):
    fields = {"content-type": "text/html", "content-encoding": "gzip", "server": "größe"} | headers
    return Response(url=url, status=status, reason=reason, headers=Headers(fields), body=body, content_type="text/html")


def test_responses_are_warc_records_that_others_can_read(tmp_path):
    path = tmp_path / "pages.warc.gz"
    sink = WarcSink(path, writer="w", rotation=Rotation(), software="test")
    pages = [response("http://a.example/"), response("http://a.example/gone", 404, b"")]
    written(sink, responses=pages)
    (file,) = tmp_path.iterdir()
    assert file.name == "pages-w-00001.warc.gz"
    with file.open("rb") as stream:
        records = [
            (r.rec_type, r.rec_headers["WARC-Target-URI"], r.http_headers and r.http_headers.get_statuscode(),
             r.content_stream().read())
            for r in ArchiveIterator(stream)
        ]  # fmt: skip
    assert [record[:3] for record in records] == [
        ("warcinfo", None, None),
        ("response", "http://a.example/", "200"),
        ("response", "http://a.example/gone", "404"),
    ]
    assert records[1][3] == b"<p>hello"
    checker = Checker(type("Arguments", (), {"inputs": [str(file)], "verbose": True})())
    checker.process_all()
    assert checker.exit_value == 0


def test_several_outputs_all_get_everything(tmp_path):
    first, second = (JsonLinesSink(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    archive = WarcSink(tmp_path / "c.warc", writer="w", rotation=Rotation(), software="test")

    async def main():
        async with first, second, archive, SeveralSinks([first, second, archive]) as all_three:
            all_three.write(article(1))
            assert all_three.archive(response("http://a.example/"))
            await all_three.flush()

    asyncio.run(main())
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes() != b""
    assert (tmp_path / "c-w-00001.warc").exists()


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst"])
def test_a_file_whose_last_group_was_cut_can_be_read_up_to_there(tmp_path, name):
    """As a machine that died leaves it: the pages of that group come again, into another file."""
    sink = FilesSink(tmp_path / name, writer="w", rotation=Rotation())

    async def main():
        async with sink:
            for page in range(3):
                sink.write(article(page))
                await sink.flush()
                ends.append(next(tmp_path.iterdir()).stat().st_size)

    ends = []
    asyncio.run(main())
    whole = next(tmp_path.iterdir()).read_bytes()
    for cut in range(ends[1], ends[2]):
        assert read_until_cut(whole[:cut], name)[:2] == ["3f.0.0", "3f.1.0"]


def read_until_cut(data, name):
    lines, opened = [], (gzip.open if name.endswith(".gz") else zstd.open)(io.BytesIO(data), "rb")
    with contextlib.suppress(EOFError, gzip.BadGzipFile):
        for line in opened:
            lines.append(json.loads(line)["_key"])  # noqa: PERF401 - those before the end count
    return lines


def test_an_archive_whose_last_record_was_cut_can_be_read_up_to_there(tmp_path):
    sink = WarcSink(tmp_path / "x.warc.gz", writer="w", rotation=Rotation(), software="test")
    written(sink, responses=[response(f"http://a.example/{page}") for page in range(2)])
    whole = next(tmp_path.iterdir()).read_bytes()
    last = whole.rindex(b"\x1f\x8b\x08")
    for cut in range(last, len(whole), 7):
        records = []
        with contextlib.suppress(EOFError, ArchiveLoadFailed, AttributeError):  # what warcio makes of half a head
            for record in ArchiveIterator(io.BytesIO(whole[:cut])):
                body = record.content_stream().read()
                records.append((record.rec_headers["WARC-Target-URI"], body))
        assert records[1][0] == "http://a.example/0"
        assert records[1][1] == b"<p>hello"


def test_no_output_archives_nothing():
    assert not NullSink().archive(response("http://a.example/"))


def test_what_a_server_says_against_the_rules_is_archived_within_them(tmp_path):
    sink = WarcSink(tmp_path / "x.warc", writer="w", rotation=Rotation(), software="test")
    odd = {"x-größe": "1", "x-robots-tag": "noindex\nnofollow"}
    written(sink, responses=[response("http://a.example/", 404, reason="Non trouvé", **odd)])
    kept = (tmp_path / "x-w-00001.warc").read_bytes()
    assert b"HTTP/1.1 404 Non trouv?\r\n" in kept
    assert b"x-robots-tag: noindex\r\nx-robots-tag: nofollow\r\n" in kept
    assert b"x-gr??e: 1\r\n" in kept or b"x-gr?" in kept


def test_a_defect_while_a_group_is_kept_is_a_failure_of_the_output_for_good():
    class Broken(JsonLinesSink):
        async def _append(self, lines):
            raise RuntimeError("a defect")

    async def main():
        async with Broken("/dev/null") as sink:
            sink.write(article(1))
            for _ in range(2):
                with pytest.raises(OutputFailed, match="a defect"):
                    await sink.flush()
            with pytest.raises(OutputFailed, match="a defect"):
                sink.write(article(2))

    asyncio.run(main())


class FullBroker:
    """Refuses everything."""

    async def publish_all(self, messages):
        return [PublishRefused("the queue is full") for _ in messages]


def test_an_exchange_whose_queue_stays_full_lets_its_consumer_go(monkeypatch):
    monkeypatch.setattr(exchange, "CLOSE_S", 0.1)

    async def main():
        async with ExchangeSink(FullBroker(), "items") as sink:
            sink.write(article(1))
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    with pytest.raises(OutputFailed, match="not accepted"):
        asyncio.run(main())


@pytest.mark.parametrize("price", [Decimal(10) ** 30, Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")])
def test_a_number_that_no_database_takes_costs_its_page_only(tmp_path, price):
    async def main():
        async with SqlSink(f"sqlite:///{tmp_path}/x.db") as sink:
            with pytest.raises(ItemInvalid, match="'price'"):
                sink.write(Record("a.1", 0, EVERYTHING | {"price": price}, Everything))

    asyncio.run(main())


def test_half_a_character_deep_in_an_item_costs_its_page_only(tmp_path):
    async def main():
        async with SqlSink(f"sqlite:///{tmp_path}/x.db") as sink:
            with pytest.raises(ItemInvalid, match="'tags'"):
                sink.write(Record("a.1", 0, EVERYTHING | {"tags": ["\ud800"]}, Everything))

    asyncio.run(main())
