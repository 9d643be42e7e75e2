"""Log lines: one record is one line, whatever stands in it, and its traceback cannot be taken for other records."""

import asyncio
import json
import logging

import pytest
from yarl import URL

from crawl_consumer.cookies import HostCookies
from crawl_producer import command
from crawl_producer.cli import doctor
from crawl_producer.doctor.finding import Finding, Level

EVIL = "https://u:hunter2@h/?token=abc\n2026-01-01 00:00:00,000 ERROR crawl: all is lost\x1b[2J"


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in command._LIBRARY_LEVELS}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, quiet in levels.items():
        logging.getLogger(name).setLevel(quiet)


def test_a_record_is_one_line_without_secrets(capsys):
    command.set_up_logging()
    logging.getLogger("crawl_x").warning("cannot read %s", EVIL)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        r"cannot read https://***@h/?token=***\n2026-01-01 00:00:00,000 ERROR crawl: all is lost\x1b[2J"
    )


def test_no_line_of_a_traceback_stands_where_a_record_begins(capsys):
    command.set_up_logging()
    try:
        int(EVIL)
    except ValueError:
        logging.getLogger("crawl_x").exception("a defect")
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.endswith("a defect")
    assert lines[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in lines)
    assert not [line for line in lines if "hunter2" in line or "abc" in line or "\x1b" in line]


def test_a_long_record_is_cut(capsys):
    command.set_up_logging()
    logging.getLogger("crawl_x").warning("%s", "x" * 100_000)
    assert len(capsys.readouterr().err) < command.MAX_LOG_CHARS + 100


def test_no_site_fills_the_log_with_cookies_that_are_none(capsys):
    async def take():
        HostCookies().update_cookies_from_headers(["t\xff=1", "a\\=2; Path=/"] * 10, URL("https://a.example/"))

    for debug in (False, True):
        command.set_up_logging(debug=debug)
        asyncio.run(take())
        lines = capsys.readouterr().err.splitlines()
        assert bool([line for line in lines if "aiohttp.internal" in line]) is debug


def test_a_finding_that_names_what_others_call_themselves_is_shown_in_one_line(capsys):
    found = [Finding(Level.WARNING, "rabbitmq", f"blocked: {EVIL}", remedy="wait", command="rabbitmqctl status")]
    doctor._print(found, as_json=False)
    line, *_ = capsys.readouterr().out.split("\x1b[2J")
    assert "hunter2" not in line
    assert "\x1b" not in line
    doctor._print(found, as_json=True)
    (told,) = json.loads(capsys.readouterr().out)["findings"]
    assert "hunter2" not in told["text"]
    assert told["command"] == "rabbitmqctl status"
