"""The demo: private servers, a documentation site, a seeder and two consumers, from start to clean stop."""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from crawl_dev.errors import ServersError
from crawl_dev.servers import PrivateServers
from crawl_dev.site import OWN_SITE, StaticSite, python_docs_root

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "demo-output"
CONSUMERS = 2
#: Pages that one consumer works on at once. A stranger's site is asked once a second, however many there are.
CONCURRENCY = 16
#: A consumer that finished has this long to close its files and connections.
STOP_S = 60.0


def main() -> int:
    """Run the demo; returns the exit code."""
    arguments = _parser().parse_args()
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            url, environment = arguments.site, dict(os.environ)
            if not url:
                url, environment = stack.enter_context(StaticSite(_local_site())).url, environment | OWN_SITE
            say("starting a private RabbitMQ node and a private Redis (loopback, temporary folder)")
            servers = stack.enter_context(PrivateServers(1))
            demo = Demo(environment | servers.environment())
            demo.crawl(url, arguments.max_minutes * 60)
            _queues(servers)
    except ServersError as error:
        print(f"demo: {error}\n  remedy: {error.remedy or 'make servers'}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"demo: {shlex.join(error.cmd)} ended with exit code {error.returncode}", file=sys.stderr)
        return 1
    say(f"everything is stopped again; the whole demo took {time.monotonic() - started:.0f} s")
    return 0


class Demo:
    """The commands that a user would type, one after the other.

    Args:
        environment: leads the commands to the private servers.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def crawl(self, url: str, limit_s: float) -> None:
        """Apply the topology, seed, crawl with two consumers, and say what came of it."""
        OUTPUT.mkdir(exist_ok=True)
        for old in OUTPUT.glob("*.jsonl"):
            old.unlink()
        self._run("crawl-topology", "apply")
        self._run("crawl-seed", "--crawl", "docs", url)
        started = time.monotonic()
        with self._consumers():
            self._run("crawl-status", "docs", "--wait", "--watch", "--timeout", str(int(limit_s)))
            seconds = time.monotonic() - started
        self._summary(seconds, urlsplit(url).hostname or url)

    def _summary(self, seconds: float, host: str) -> None:
        files = sorted(OUTPUT.glob("*.jsonl"))
        pages = sum(file.read_bytes().count(b"\n") for file in files)
        rate = f"{pages / seconds:,.0f} pages/s, the start of the consumers included"
        say(f"{pages:,} pages of {host} in {seconds:.1f} s ({rate})")
        say("one JSON line a page, safely on disk before each page was done:")
        for file in files:
            print(f"    {file.relative_to(ROOT)}")
        if files:
            print(
                "    " + re.sub(rb"\s+", b" ", files[0].read_bytes().split(b"\n", 1)[0])[:160].decode(errors="replace")
            )

    def _run(self, *command: str) -> None:
        print(f"\n$ {shlex.join(command)}", flush=True)
        subprocess.run([_installed(command[0]), *command[1:]], env=dict(self._environment), check=True)

    @contextmanager
    def _consumers(self) -> Iterator[None]:
        command = ["crawl-consumer", "--queue", "docs.*", "--concurrency", str(CONCURRENCY), "--until-done",
                   "--quiet", "--output", str(OUTPUT)]  # fmt: skip
        print(f"\n$ {shlex.join(command)} &   # {CONSUMERS} of them", flush=True)
        running = [
            subprocess.Popen([_installed(command[0]), *command[1:]], env=dict(self._environment))
            for _ in range(CONSUMERS)
        ]
        try:
            yield
        except BaseException:
            for consumer in running:
                consumer.terminate()
            raise
        finally:
            for consumer in running:
                consumer.wait(STOP_S)


def say(what: str) -> None:
    """A line of the demo's own."""
    print(f"\n== {what}", flush=True)


def _queues(servers: PrivateServers) -> None:
    print("\n$ rabbitmqctl list_queues name messages_ready messages_unacknowledged")
    for queue in servers.rabbit.list_queues("name", "messages_ready", "messages_unacknowledged"):
        if not queue["name"].startswith(("crawl.delay.", "mirror.", "news.", "dead.mirror", "dead.news")):
            print(f"{queue['name']}\t{queue['messages_ready']}\t{queue['messages_unacknowledged']}")


def _local_site() -> Path:
    docs = python_docs_root()
    if docs is not None:
        say("the site: Debian's python3-doc, the whole Python documentation, served by nginx on loopback")
        return docs
    say("the site: examples/site, because the package python3-doc is not installed")
    return ROOT / "examples" / "site"


def _installed(command: str) -> str:
    return str(Path(sys.executable).parent / command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crawl_dev.demo", description=__doc__)
    parser.add_argument("site", nargs="?", default="", help="crawl this URL instead of the local documentation")
    parser.add_argument("--max-minutes", type=float, default=10, help="give up after this long (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
