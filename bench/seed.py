"""Seeds a million generated URLs through crawl-seed: rate, CPU seconds and peak memory.

The durable path: quorum queue, publisher confirms, Redis with AOF everysec. Run it with ``make bench-seed``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crawl_dev.servers import PrivateServers

BIN = Path(sys.executable).parent


def write_urls(path: Path, urls: int, hosts: int) -> None:
    with path.open("w") as out:
        for n in range(urls):
            out.write(f"https://host{n % hosts}.example/section/{n % 97}/page-{n}.html?id={n * 7919}\n")


def prepared(folder: Path, servers: PrivateServers, urls: int, hosts: int) -> tuple[Path, dict[str, str]]:
    """A file of URLs, and the environment in which they can be seeded."""
    environment = {"CRAWL_TOPOLOGY": str(topology_without_a_page_limit(folder))}
    environment = os.environ | servers.environment() | environment
    subprocess.run([BIN / "crawl-topology", "apply"], env=environment, check=True, stdout=subprocess.DEVNULL)
    write_urls(folder / "urls.txt", urls, hosts)
    return folder / "urls.txt", environment


def seed(path: Path, environment: dict[str, str]) -> dict[str, float]:
    started = time.monotonic()
    command = [BIN / "crawl-seed", "--crawl", "docs", "--file", path, "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as seeding:
        output = seeding.stdout.read() if seeding.stdout else b""
        _, status, usage = os.wait4(seeding.pid, 0)  # its own: what others took whom we waited for is not in it
        seeding.returncode = os.waitstatus_to_exitcode(status)
    if seeding.returncode:
        raise subprocess.CalledProcessError(seeding.returncode, command)
    seconds = time.monotonic() - started
    report = json.loads(output)
    return {
        "urls": report["lines"],
        "admitted": report["admitted"],
        "seconds": round(seconds, 2),
        "urls_per_s": round(report["lines"] / seconds),
        "cpu_us_per_url": round((usage.ru_utime + usage.ru_stime) * 1e6 / report["lines"], 1),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def topology_without_a_page_limit(folder: Path) -> Path:
    path = folder / "exchanges.yaml"
    path.write_text(
        "exchanges: {crawl.docs: {type: direct}}\n"
        "queues: {docs.pages: {crawl: docs, bindings: [{exchange: crawl.docs, key: page}]}}\n"
        "crawls: {docs: {exchange: crawl.docs, key: page, expected_urls: 1_000_000}}\n"
    )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--urls", type=int, default=1_000_000)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crawl-bench-") as name, PrivateServers(1) as servers:
        path, environment = prepared(Path(name), servers, options.urls, options.hosts)
        first = seed(path, environment)
        again = seed(path, environment)
        depth = servers.rabbit.list_queues("name", "messages_ready")
    ready = next(q["messages_ready"] for q in depth if q["name"] == "docs.pages")
    result = {"first": first, "again": again, "messages_in_queue": ready}
    if options.json:
        print(json.dumps(result))
        return
    for name, figures in (("first run", first), ("the same file again", again)):
        print(f"{name}: " + ", ".join(f"{key} {value:,}" for key, value in figures.items()))
    print(f"messages in docs.pages: {ready:,}")


if __name__ == "__main__":
    main()
