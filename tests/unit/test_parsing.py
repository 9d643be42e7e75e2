"""Where pages are parsed, and that none of them costs a consumer more than its place."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from costs import resident_bytes
from crawl_consumer.page import Page
from crawl_consumer.parse_child import end_with
from crawl_consumer.parsing import TAME_BYTES, UNTRIED_BYTES, ChildLost, Parsing
from crawl_consumer.response import Response
from crawl_dev.process import same_modules
from crawl_producer.message import UrlMessage
from polling import until

URL = "http://site.example/"
LINK = b"<a href=x>"
FOUND = [URL + "x"]


def page(body, content_type="text/html", charset=None):
    response = Response(url=URL, status=200, body=body, content_type=content_type, header_charset=charset)
    return Page(response, UrlMessage(crawl="c", url=URL))


def padded(size, start=LINK):
    """Harmless markup of at least ``size`` bytes that begins with ``start``."""
    paragraph = b"<p>some words of text that anybody may read</p>"
    return start + paragraph * (size // len(paragraph) + 1)


def attributes(size):
    """One element with so many bytes of attributes: libxml2 takes time with their square."""
    return f"<a {' '.join(f'a{number:x}' for number in range(size // 6))}>".encode()


def elements(size):
    return LINK + b"<p>" * (size // 3)


SMALL, MODERATE, LARGE = (padded(size) for size in (100, TAME_BYTES + 1, UNTRIED_BYTES + 1))
#: No machine parses it within a second.
ENDLESS = attributes(4 << 20)


async def read(parsing, body, **options):
    """Why it is not parsed, and its links."""
    seen = page(body, **options)
    async with parsing.of(seen) as refusal:
        return refusal, seen.links()


@pytest.mark.parametrize("body", [SMALL, MODERATE, LARGE], ids=["small", "moderate", "large"])
def test_a_harmless_page_is_parsed_whatever_its_size(body):
    async def main():
        async with Parsing() as parsing:
            return await read(parsing, body)

    assert asyncio.run(main()) == ("", FOUND)


@pytest.mark.parametrize("size", [TAME_BYTES + 1, UNTRIED_BYTES + 1])
@pytest.mark.parametrize(("start", "threads"), [(b"", 0), (b"<div>" * 300, 1)], ids=["shallow", "deep"])
def test_tame_pages_are_parsed_at_once_unless_they_are_deep(size, start, threads, monkeypatch):
    made = []
    monkeypatch.setattr(Page, "parse_apart", lambda page, parse=Page.parse_apart: made.append(1) or parse(page))

    async def main():
        async with Parsing() as parsing:
            return await read(parsing, start + b'<p class="x"><a href="x">a link</a>' * (size // 30)), parsing.child_pid

    (refusal, found), child = asyncio.run(main())
    assert (refusal, found, len(made)) == ("", FOUND, threads)
    assert (child is not None) == bool(threads and size > UNTRIED_BYTES)


def test_markup_that_grows_in_utf8_is_as_large_as_it_becomes_there():
    names = "<p>" + "é" * (TAME_BYTES - 10)
    body = names.encode("windows-1252")

    async def main():
        async with Parsing() as parsing:
            other = page(body, charset="windows-1252")
            async with parsing.of(other):
                return "_parsed" in other.__dict__

    assert len(body) <= TAME_BYTES < len(names.encode())
    assert asyncio.run(main())


def test_a_page_that_outlives_its_parsing_is_no_error():
    async def main():
        async with Parsing() as parsing:
            held = parsing.of(page(LARGE))
            await held.__aenter__()
        await held.__aexit__(None, None, None)
        await asyncio.sleep(0)

    asyncio.run(main(), debug=True)


def test_what_is_no_page_is_left_alone():
    async def main():
        async with Parsing(cpu_s=1) as parsing:
            return await read(parsing, ENDLESS, content_type="text/plain")

    assert asyncio.run(main()) == ("", [])


def test_a_large_page_in_another_encoding_is_tried_as_it_will_be_parsed():
    async def main():
        async with Parsing() as parsing:
            return await read(parsing, padded(UNTRIED_BYTES, '<a href="é">'.encode("utf-16")[2:]), charset="utf-16le")

    refusal, _ = asyncio.run(main())
    assert refusal == ""


@pytest.mark.parametrize(
    ("body", "limits", "refusal"),
    [
        (ENDLESS, {"cpu_s": 1}, "it takes more than 1 s to parse"),
        (elements(1 << 20), {"tree_bytes": 16 << 20}, "it takes more than 16 MiB to parse"),
    ],
    ids=["time", "memory"],
)
def test_a_page_that_costs_too_much_is_given_up_and_harms_no_other(body, limits, refusal):
    async def main():
        async with Parsing(**limits) as parsing:
            costly = page(body)
            async with parsing.of(costly) as why:
                seen = why, costly.parse_error, costly.links(), costly.title, costly.text, costly.metas
            return seen, await read(parsing, LARGE)

    assert asyncio.run(main()) == ((refusal, refusal, [], None, "", []), ("", FOUND))


def test_small_pages_are_read_while_a_large_one_is_tried():
    async def main():
        done = []

        async def note(name, body):
            refusal, _ = await read(parsing, body)
            done.append((name, refusal))

        async with Parsing(cpu_s=2) as parsing, asyncio.TaskGroup() as group:
            group.create_task(note("endless", ENDLESS))
            for number in range(20):
                await asyncio.sleep(0)
                group.create_task(note(number, SMALL))
        return done

    assert asyncio.run(main()) == [*((n, "") for n in range(20)), ("endless", "it takes more than 2 s to parse")]


def test_the_event_loop_goes_on_while_a_moderate_page_is_parsed():
    async def main():
        done = []

        async def note(name, body):
            await read(parsing, body)
            done.append(name)

        async with Parsing() as parsing, asyncio.TaskGroup() as group:
            group.create_task(note("slow", attributes(UNTRIED_BYTES // 3)))
            await asyncio.sleep(0)
            group.create_task(note("small", SMALL))
        return done

    assert asyncio.run(main()) == ["small", "slow"]


def test_large_pages_are_in_memory_one_at_a_time():
    async def main():
        inside = 0
        most = []

        async def hold():
            nonlocal inside
            async with parsing.of(page(LARGE)):
                inside += 1
                most.append(inside)
                await asyncio.sleep(0)
                inside -= 1

        async with Parsing() as parsing, asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(hold())
        return most

    assert asyncio.run(main()) == [1] * 4


async def large_trees_come_and_go():
    before_bytes = resident_bytes()
    async with Parsing() as parsing:
        for _ in range(3):
            await read(parsing, elements(2 << 20))  # a tree of 85 MiB
        await until(lambda: resident_bytes() < before_bytes + (40 << 20))


def test_the_memory_of_large_trees_is_given_back():
    # In a process of its own: what other tests have left behind moves about in the memory of this one.
    subprocess.run([sys.executable, __file__, large_trees_come_and_go.__name__], env=same_modules(), check=True)


def test_after_a_trial_that_was_broken_off_the_next_page_gets_its_own_answer():
    async def main():
        async with Parsing() as parsing:
            trial = asyncio.create_task(read(parsing, ENDLESS))
            while parsing.child_pid is None:
                await asyncio.sleep(0)
            trial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trial
            return await read(parsing, LARGE)

    assert asyncio.run(main()) == ("", FOUND)


def test_a_child_that_is_lost_says_nothing_of_its_page_and_is_started_again():
    async def main():
        async with Parsing() as parsing:
            await read(parsing, LARGE)
            os.kill(parsing.child_pid, signal.SIGKILL)
            with pytest.raises(ChildLost):
                await read(parsing, LARGE)
            return await read(parsing, LARGE)

    assert asyncio.run(main()) == ("", FOUND)


async def while_it_is_tried(body, act, **limits):
    """What comes of a page when ``act`` is called with the child and the fork that tries the page."""
    async with Parsing(**limits) as parsing:
        await read(parsing, LARGE)  # the child is there, and waits
        trial = asyncio.create_task(read(parsing, body))
        await until(lambda: forks(parsing.child_pid) or trial.done())
        act(parsing.child_pid, *forks(parsing.child_pid))
        return (await trial)[0]


def forks(pid):
    return [int(fork) for fork in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_who_tells_all_processes_of_a_service_to_end_ends_no_trial(number):
    def tell_all(child, fork):
        os.kill(fork, number)
        os.kill(child, number)

    assert asyncio.run(while_it_is_tried(ENDLESS, tell_all, cpu_s=1)) == "it takes more than 1 s to parse"


def test_a_fork_that_somebody_ends_says_nothing_of_its_page():
    with pytest.raises(ChildLost):
        asyncio.run(while_it_is_tried(ENDLESS, lambda _, fork: os.kill(fork, signal.SIGUSR1)))


def test_a_page_that_breaks_the_parser_is_given_up():
    refusal = asyncio.run(while_it_is_tried(ENDLESS, lambda _, fork: os.kill(fork, signal.SIGSEGV)))
    assert refusal == "parsing it ends with SIGSEGV"


def test_the_child_ends_with_its_parsing():
    async def main():
        async with Parsing() as parsing:
            await read(parsing, LARGE)
            return parsing.child_pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(main()), 0)


async def a_page_is_tried_for_minutes():
    async with Parsing(cpu_s=600) as parsing:
        await read(parsing, LARGE)
        trial = asyncio.create_task(read(parsing, ENDLESS))
        await until(lambda: forks(parsing.child_pid) or trial.done())
        print(parsing.child_pid, *forks(parsing.child_pid), flush=True)
        await trial


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_nothing_outlives_a_consumer_that_is_killed():
    command = [sys.executable, __file__, a_page_is_tried_for_minutes.__name__]
    with subprocess.Popen(command, env=same_modules(), stdout=subprocess.PIPE, text=True) as consumer:
        processes = [int(pid) for pid in consumer.stdout.readline().split()]
        consumer.kill()
    assert len(processes) == 2
    asyncio.run(until(lambda: all(ended(pid) for pid in processes)))


def orphan():
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:  # nothing announces that one has another parent
            time.sleep(0.01)
        end_with(parent)
        print("outlived it")


def test_what_is_an_orphan_before_it_asked_to_end_with_its_parent_ends():
    command = [sys.executable, __file__, orphan.__name__]
    assert subprocess.run(command, env=same_modules(), capture_output=True, check=True).stdout == b""


def test_an_error_in_the_thread_is_told_to_whoever_waits(monkeypatch):
    def fail(_):
        raise MemoryError("none left")

    async def main():
        monkeypatch.setattr(Page, "parse_apart", fail)
        async with Parsing() as parsing:
            await read(parsing, MODERATE)

    with pytest.raises(MemoryError, match="none left"):
        asyncio.run(main())


def test_names_of_larger_pages_are_forgotten():
    def names(number):
        return "".join(f"<p n{number}x{name:x}>" for name in range(TAME_BYTES // 4)).encode()

    async def main():
        sizes = []
        async with Parsing() as parsing:
            for number in range(90):
                if number % 30 == 0:
                    sizes.append(resident_bytes())
                assert (await read(parsing, names(number)))[0] == ""
        return [after - before for before, after in pairwise(sizes)]

    _, later = asyncio.run(main())
    assert later < 30 * (TAME_BYTES // 4) * 40 / 3


if __name__ == "__main__":
    if asyncio.iscoroutine(made := globals()[sys.argv[1]]()):
        asyncio.run(made)
