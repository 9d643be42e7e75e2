"""What is running is told, the libraries in C included."""

import re

from typer.testing import CliRunner

from crawl_consumer.cli.consumer import app
from crawl_consumer.versions import versions


def test_every_library_that_reads_strangers_bytes_has_a_version():
    told = versions()
    assert {
        "crawlmq",
        "python",
        "aiohttp",
        "libxml2",
        "libxslt",
        "ada-url",
        "zlib",
        "brotli",
        "zstd",
        "openssl",
    } <= set(told)
    assert [name for name, version in told.items() if name != "crawlmq" and not re.search(r"\d+\.\d+", version)] == []


def test_http_is_parsed_in_c():
    assert versions()["aiohttp"].endswith("HTTP parsed in C")


def test_the_command_prints_them_without_a_queue():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout.split()[0]) == (0, "crawlmq")
    assert len(result.stdout.splitlines()) == len(versions())
