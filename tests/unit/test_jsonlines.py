"""JSON lines: what was flushed is in the file, whole, whoever else writes there and whatever breaks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from pydantic import BaseModel

from crawl_consumer.errors import ItemInvalid, OutputFailed
from crawl_consumer.sink import NullSink, Record
from crawl_consumer.sinks.jsonlines import JsonLinesSink


def item(fields):
    return Record("3f.-12", 0, fields)


def written(path):
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert all(record.pop("_key") for record in records)
    return records


def write_all(path, *records):
    async def main():
        async with JsonLinesSink(path) as sink:
            for record in records:
                sink.write(item(record))
            await sink.flush()

    asyncio.run(main())


def test_what_was_flushed_is_in_the_file(tmp_path):
    path = tmp_path / "out.jsonl"

    async def main():
        async with JsonLinesSink(path) as sink:
            sink.write(item({"title": "größer", "n": 1}))
            sink.write(item({"n": 2}))
            assert path.read_bytes() == b""
            await sink.flush()
            first, second = path.read_bytes().decode().splitlines(keepends=True)
            assert first == '{"title":"größer","n":1,"_key":"3f.-12.0"}\n'
            assert second == '{"n":2,"_key":"3f.-12.0"}\n'
            await sink.flush()
            sink.write(item({"n": 3}))
        assert path.read_bytes().endswith(b'{"n":3,"_key":"3f.-12.0"}\n')

    asyncio.run(main())


def test_lines_are_added_to_a_file_that_is_there(tmp_path):
    path = tmp_path / "out.jsonl"
    write_all(path, {"n": 1})
    write_all(path, {"n": 2})
    assert written(path) == [{"n": 1}, {"n": 2}]


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "out.jsonl"
    write_all(path, {"n": 1})
    assert written(path) == [{"n": 1}]


class Model(BaseModel):
    when: datetime


@dataclass
class Data:
    a: float


def test_values_are_what_json_can_hold(tmp_path):
    path, when = tmp_path / "out.jsonl", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    write_all(path, MappingProxyType({"m": Model(when=when), "d": [Data(float("nan"))], "s": {"x"}, "t": "a\nb\u2028"}))
    assert written(path) == [{"m": {"when": "2026-01-02T03:04:05Z"}, "d": [{"a": None}], "s": ["x"], "t": "a\nb\u2028"}]
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("value", [object(), b"\xff", "\ud800", [{"deep": object()}], print])
def test_a_value_that_json_cannot_hold_is_named_by_its_key(tmp_path, value):
    path = tmp_path / "out.jsonl"

    async def main():
        async with JsonLinesSink(path) as sink:
            with pytest.raises(ItemInvalid, match="'bad'"):
                sink.write(item({"good": 1, "bad": value}))
            sink.write(item({"good": 2}))

    asyncio.run(main())
    assert written(path) == [{"good": 2}]


def test_a_line_that_a_crash_has_torn_is_closed(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2, "tor')

    async def main():
        async with JsonLinesSink(path) as sink:
            assert path.read_bytes().endswith(b"tor\n")
            with path.open("ab") as other:
                other.write(b'{"torn too')
            sink.write(item({"n": 3}))

    asyncio.run(main())
    assert path.read_bytes() == b'{"n": 1}\n{"n": 2, "tor\n{"torn too\n{"n":3,"_key":"3f.-12.0"}\n'


def test_standard_output_is_dash(capfd):
    write_all("-", {"n": 1}, {"n": 2})
    print("still open")
    assert capfd.readouterr().out == '{"n":1,"_key":"3f.-12.0"}\n{"n":2,"_key":"3f.-12.0"}\nstill open\n'


def test_a_full_disk_fails_every_waiter_and_all_that_follow():
    async def main():
        async with JsonLinesSink("/dev/full") as sink:
            for n in range(3):
                sink.write(item({"n": n}))
            failures = await asyncio.gather(*(sink.flush() for _ in range(3)), return_exceptions=True)
            assert [type(failure) for failure in failures] == [OutputFailed] * 3
            assert "No space left" in str(failures[0])
            assert failures[0].exit_code == 12
            with pytest.raises(OutputFailed, match="No space left"):
                sink.write(item({"n": 4}))
            with pytest.raises(OutputFailed, match="No space left"):
                await sink.flush()
            assert "No space left" in repr(sink)

    asyncio.run(main())


def test_closing_reports_what_could_not_be_kept():
    async def main():
        async with JsonLinesSink("/dev/full") as sink:
            sink.write(item({"n": 1}))

    with pytest.raises(OutputFailed, match="No space left"):
        asyncio.run(main())


@pytest.mark.parametrize("name", ["", "file/out.jsonl"])
def test_a_place_that_cannot_be_written_is_an_error(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(OutputFailed, match="cannot write"):
        write_all(tmp_path / name)


class Disk:
    """Takes groups, each of which waits until it is let through or told to fail."""

    def __init__(self):
        self.groups, self.error = [], None
        self.go = threading.Semaphore(0)
        self.closed = False

    def append(self, group):
        self.groups.append(group.splitlines())
        self.go.acquire()
        if self.error:
            raise self.error

    def close(self):
        self.closed = True


def on_disk(tmp_path, story):
    """Run ``story(sink, disk)`` on a sink whose file was replaced by a Disk."""

    async def main():
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
            sink._file.close()
            sink._file = disk = Disk()
            await story(sink, disk)
        assert disk.closed

    asyncio.run(main())


async def _waiting(*tasks):
    """Give the tasks their first turns; none of them may end."""
    done, _ = await asyncio.wait(tasks, timeout=0.05)
    assert not done


def test_what_is_written_during_a_sync_shares_the_next_one(tmp_path):
    async def story(sink, disk):
        sink.write(item({"n": 0}))
        first = asyncio.create_task(sink.flush())
        await _waiting(first)
        others = []
        for n in range(1, 5):
            sink.write(item({"n": n}))
            others.append(asyncio.create_task(sink.flush()))
        await _waiting(first, *others)
        disk.go.release()
        await first
        await _waiting(*others)
        disk.go.release()
        await asyncio.gather(*others)
        assert [len(group) for group in disk.groups] == [1, 4]

    on_disk(tmp_path, story)


def test_a_flush_with_nothing_new_waits_for_the_sync_that_runs(tmp_path):
    async def story(sink, disk):
        sink.write(item({"n": 0}))
        flushes = [asyncio.create_task(sink.flush())]
        await _waiting(*flushes)
        flushes.append(asyncio.create_task(sink.flush()))
        await _waiting(*flushes)
        disk.go.release()
        await asyncio.gather(*flushes)
        assert len(disk.groups) == 1

    on_disk(tmp_path, story)


def test_a_cancelled_flush_leaves_the_others_be(tmp_path):
    async def story(sink, disk):
        sink.write(item({"n": 0}))
        impatient, patient = asyncio.create_task(sink.flush()), asyncio.create_task(sink.flush())
        await _waiting(impatient, patient)
        impatient.cancel()
        sink.write(item({"n": 1}))
        later = asyncio.create_task(sink.flush())
        await _waiting(patient, later)
        disk.go.release(2)
        await asyncio.gather(patient, later)
        assert impatient.cancelled()
        assert len(disk.groups) == 2

    on_disk(tmp_path, story)


def test_a_failed_sync_fails_the_group_behind_it_too(tmp_path):
    async def story(sink, disk):
        sink.write(item({"n": 0}))
        first = asyncio.create_task(sink.flush())
        await _waiting(first)
        sink.write(item({"n": 1}))
        second = asyncio.create_task(sink.flush())
        await _waiting(first, second)
        disk.error = OSError(5, "Input/output error")
        disk.go.release(2)
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [OutputFailed, OutputFailed]
        assert len(disk.groups) == 1

    on_disk(tmp_path, story)


_WRITER = """
import asyncio, resource, sys
from crawl_consumer.sink import Record
from crawl_consumer.sinks.jsonlines import JsonLinesSink
path, name, count, size, limit = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
async def main():
    async with JsonLinesSink(path) as sink:
        for n in range(count):
            sink.write(Record(name, n, {"by": name, "n": n, "filling": "x" * size}))
            await sink.flush()
            print(n, flush=True)
asyncio.run(main())
"""


def writer(path, name, count, size, *, limit_bytes=1 << 40):
    """A process that writes, and reports each record when it was flushed."""
    command = [sys.executable, "-c", _WRITER, str(path), name, str(count), str(size), str(limit_bytes)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)


def test_processes_that_write_to_one_file_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    writers = [writer(path, name, 40, 50_000) for name in "ab"]
    for process in writers:
        _, errors = process.communicate(timeout=60)
        assert not errors
    assert sorted((record["by"], record["n"]) for record in written(path)) == [(b, n) for b in "ab" for n in range(40)]


def test_a_group_that_did_not_fit_is_taken_back(tmp_path):
    path = tmp_path / "out.jsonl"
    process = writer(path, "a", 10, 1000, limit_bytes=4500)
    out, errors = process.communicate(timeout=60)
    assert "OutputFailed" in errors
    assert "File too large" in errors
    assert [record["n"] for record in written(path)] == [int(n) for n in out.split()] == [0, 1, 2, 3]


def test_what_was_reported_as_flushed_survives_kill_9(tmp_path):
    path = tmp_path / "out.jsonl"
    process = writer(path, "a", 100_000, 20_000)
    reported = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    write_all(path, {"by": "b", "n": -1})
    whole = [line for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    kept = [json.loads(line)["n"] for line in whole]
    assert set(reported) <= set(kept)
    assert kept[-1] == -1


def test_no_output_keeps_nothing():
    async def main():
        async with NullSink() as sink:
            sink.write(item({"n": object()}))
            await sink.flush()

    asyncio.run(main())
