"""Whether a consumer is as fast as it was: one ``crawl-consumer`` against the bare and the lean loop, in turn.

The consumer goes the durable way: quorum queue, publisher confirms, Redis with AOF everysec. Run it with
``make bench-quick``; how to read it is told in docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from measured import Run, copies, run

from crawl_dev.servers import PrivateServers
from crawl_dev.site import OWN_SITE, StaticSite, python_docs_root

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
CONNECTIONS = 32  #: the consumer's default; everybody gets as many
LOOPS = ("bare", "lean")


class Contest:
    """The contenders and what they run on.

    Args:
        site: what is crawled.
        servers: the consumer's.
        folder: for its topology and output.
        rounds: each is a crawl of its own in the ledger.
        options: further ones of ``crawl-consumer``.
        settings: more of each crawl, as in exchanges.yaml.

    Attributes:
        program: what is run for ``crawl-consumer``.
        watched: servers whose CPU seconds are counted.
    """

    def __init__(
        self,
        site: StaticSite,
        servers: PrivateServers,
        folder: Path,
        rounds: int,
        options: Sequence[str] = (),
        *,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.site, self.servers, self._options = site, servers, options
        self.program: Sequence[str] = (str(BIN / "crawl-consumer"),)
        self.watched = (servers.rabbit.nodes[0], servers.redis, site)
        crawls = ["single", *(f"round{n}" for n in range(rounds))]
        topology = {
            "exchanges": {"bench": {"type": "direct"}},
            "queues": {f"{c}.pages": {"crawl": c, "bindings": [{"exchange": "bench", "key": c}]} for c in crawls},
            "crawls": {c: {"exchange": "bench", "key": c} | dict(settings or {}) for c in crawls},
        }
        (folder / "exchanges.yaml").write_text(json.dumps(topology))
        self._environment = servers.environment() | OWN_SITE | {"CRAWL_TOPOLOGY": str(folder / "exchanges.yaml")}
        self._command("crawl-topology", "apply")

    def loop(self, name: str, path: str) -> Run:
        """Run one of the loops."""
        return run(
            [sys.executable, HERE / f"{name}.py", self.site.url + path, str(CONNECTIONS)], self.site, self.watched
        )

    def consumer(self, crawl: str, path: str, *options: str, **environment: str) -> Run:
        """Seed, and run a consumer, with further options of its own, until the crawl is complete."""
        self.seed(crawl, self.site.url + path)
        return self.consume(crawl, *options, **environment)

    def seed(self, crawl: str, *arguments: str) -> None:
        self._command("crawl-seed", "--crawl", crawl, *arguments)

    def consume(self, crawl: str, *options: str, **environment: str) -> Run:
        """Run a consumer until a crawl that was seeded is complete."""
        command = [*self.program, "--queue", f"{crawl}.pages", "--until-done", "--quiet", *self._options]
        command += ["--concurrency", str(CONNECTIONS), *options]
        return run(command, self.site, self.watched, **self._environment | environment)

    def _command(self, *command: str) -> None:
        subprocess.run(
            [BIN / command[0], *command[1:]],
            env=os.environ | self._environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def manual() -> Path:
    """The real site."""
    folder = python_docs_root()
    if folder is None:
        raise SystemExit("the Python manual is not installed: make servers")
    return folder


def compete(contest: Contest, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Everybody's figures of each round; the order changes from round to round."""
    contenders: dict[str, Callable[[str, str], Run]] = {
        name: lambda _, path, name=name: contest.loop(name, path) for name in LOOPS
    }
    contenders["consumer"] = contest.consumer
    start_up = {name: go("single", "single/") for name, go in contenders.items()}
    figures = defaultdict(list)
    for n in range(rounds):
        order = list(contenders)
        seen = {name: contenders[name](f"round{n}", "") for name in order[n % 3 :] + order[: n % 3]}
        for name, result in seen.items():
            if result.paths != seen["lean"].paths:
                raise SystemExit(f"{name} fetched other pages: {sorted(result.paths ^ seen['lean'].paths)[:5]}")
            figures[name].append(figures_of(result, start_up[name]))
    return figures


def figures_of(result: Run, start_up: Run) -> dict[str, float]:
    """Pages per second, and milliseconds of CPU for a page."""
    pages = len(result.paths)
    figures = {
        "pages": float(pages),
        "pages_per_s": result.pages_per_s,
        "cpu_ms": (result.cpu_s - start_up.cpu_s) * 1000 / pages,
    }
    for name, used_s in result.servers_cpu_s.items():
        figures[f"{name}_cpu_ms"] = used_s * 1000 / pages
    return figures


def spread(values: list[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} … {max(values):{form}})"


def report(figures: dict[str, list[dict[str, float]]]) -> None:
    for name, rounds in figures.items():
        parts = [f"{spread([r['pages_per_s'] for r in rounds], '.0f')} pages/s"]
        parts += [
            f"{key.removesuffix('_ms').replace('_', ' ')} {spread([r[key] for r in rounds], '.2f')} ms/page"
            for key in rounds[0]
            if key.endswith("cpu_ms")
        ]
        print(f"{name:9} " + ", ".join(parts))
    for loop in LOOPS:
        pairs = list(zip(figures["consumer"], figures[loop], strict=True))
        rate = spread([ours["pages_per_s"] / theirs["pages_per_s"] for ours, theirs in pairs], ".2f")
        cost = spread([ours["cpu_ms"] / theirs["cpu_ms"] for ours, theirs in pairs], ".2f")
        print(f"consumer / {loop}: {rate} of its pages/s, {cost} of its CPU per page")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=2, help="of the Python manual, 529 URLs each")
    parser.add_argument("--output", action="store_true", help="let the consumer keep its records, safely on disk")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        site = stack.enter_context(StaticSite(stack.enter_context(copies(manual(), options.copies))))
        servers = stack.enter_context(PrivateServers(1))
        output = ["--output", str(folder / "out")] if options.output else []
        figures = compete(Contest(site, servers, folder, options.rounds, output), options.rounds)
    if options.json:
        print(json.dumps(figures))
    else:
        report(figures)


if __name__ == "__main__":
    main()
