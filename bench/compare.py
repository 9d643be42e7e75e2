"""CrawlMQ beside two plain loops and four other crawlers, on one machine, one site and the same servers, in turn.

Every round everybody crawls once, in an order that changes; the slow ones crawl one copy of the site, in every other
round. A run counts only if it asked for the same URLs as the others. Run it with ``make bench``; the results go to
docs/benchmarks.md, and how to read them is told there.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import machine
from chart import Bar, svg
from contenders import CRAWLS, Contender, contenders
from measured import Run, copies
from quick import Contest, figures_of, manual
from tables import DOCUMENT, place, table
from verdicts import Rounds, Spread, Target, agreed, complaint, spread

from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

TARGETS = (
    Target("crawlmq", "lean", "pages_per_s", 0.75),
    Target("crawlmq", "lean", "cpu_ms", 1.35),
    Target("crawlmq", "bare", "pages_per_s", 1.9),
    Target("crawlmq2", "celery", "pages_per_s", 3.0),
    Target("crawlmq", "scrapy-redis", "pages_per_s", 18),
    Target("crawlmq", "scrapy", "pages_per_s", 9),
    Target("crawlmq", "crawlee", "pages_per_s", 7),
    Target("crawlmq2", "crawlmq", "pages_per_s", 1.6),
)
WORDS = {"pages_per_s": "pages/s", "cpu_ms": "CPU per page"}
#: What slow contenders crawl, and where everybody's start-up is measured: a page without links.
ONE_COPY, START_UP = "copy0/index.html", "single/"
#: What is not reached from the one copy: the common start page, and the other copies.
OTHER_COPIES = re.compile(r"/$|/copy[1-9]")
#: Columns of CPU milliseconds per page: the crawler's own processes, and each server's.
COSTS = {"cpu_ms": "crawler", "rabbit1_cpu_ms": "RabbitMQ", "redis_cpu_ms": "Redis", "nginx_cpu_ms": "nginx"}
REQUIREMENTS = Path(__file__).with_name("requirements-peers.txt")
PACKAGES = ("celery", "scrapy", "scrapy-redis", "crawlee", "requests", "lxml", "parsel", "redis", "twisted", "impit")


@dataclass(slots=True)
class Results:
    """What came of all rounds: figures of the runs that count, and why the others do not."""

    rounds: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def judge(self, number: int, runs: Mapping[str, Run], start_up: Mapping[str, Run], slow: Sequence[str]) -> None:
        """Keep the figures of a round's runs, if each asked for what the others did."""
        site = agreed(run.paths for name, run in runs.items() if name not in slow)
        part = frozenset(path for path in site if not OTHER_COPIES.match(path))
        for name, run in runs.items():
            if why := complaint(run.paths, part if name in slow else site):
                self.complaints.append(f"{name}, round {number + 1}: {why}")
            else:
                self.rounds.setdefault(name, {})[number] = figures_of(run, start_up[name])


def compete(everybody: Mapping[str, Contender], rounds: int) -> Results:
    results = Results()
    start_up = dict(_runs(everybody, -1, dict.fromkeys(everybody, START_UP), results))
    able = {name: contender for name, contender in everybody.items() if name in start_up}
    slow = [name for name, contender in able.items() if contender.slow]
    for number in range(rounds):
        names = [name for name in able if number % 2 == 0 or name not in slow]
        first = number * 2 % len(names)
        paths = {name: ONE_COPY if name in slow else "" for name in names[first:] + names[:first]}
        results.judge(number, dict(_runs(able, number, paths, results)), start_up, slow)
    return results


def _runs(
    everybody: Mapping[str, Contender], number: int, paths: Mapping[str, str], results: Results
) -> Iterator[tuple[str, Run]]:
    """Each one's run, one after the other; one that fails is complained of, and the others go on."""
    for name, path in paths.items():
        try:
            run = everybody[name].go(number, path)
        except SystemExit as failure:
            results.complaints.append(f"{name}, round {number + 1}: {failure}")
            continue
        if path != START_UP:
            print(
                f"round {number + 1}: {name:13}{run.requests:6,} requests, {run.pages_per_s:6.0f} pages/s", flush=True
            )
        yield name, run


def report(results: Results, titles: Mapping[str, str], notes: Sequence[str]) -> str:
    """All of it, as Markdown."""
    measured = {name: title for name, title in titles.items() if name in results.rounds}
    rows = [_row(title, results.rounds[name]) for name, title in measured.items()]
    parts = [
        *notes,
        table(["", "rounds", "pages/s", *(f"{who}, ms/page" for who in COSTS.values())], rows),
        table(["ratio", "target", "measured", "verdict"], [_verdict(target, results) for target in TARGETS]),
        _limit(results),
        *(f"Does not count: {text}." for text in results.complaints),
    ]
    return "\n\n".join(part for part in parts if part)


def _row(title: str, rounds: Rounds) -> list[str]:
    costs = [spread(rounds, figure).text(".2f") for figure in COSTS]
    return [title, str(len(rounds)), spread(rounds, "pages_per_s").text(",.0f"), *costs]


def _verdict(target: Target, results: Results) -> list[str]:
    ratio = target.ratio(results.rounds)
    what = f"{target.ours} / {target.theirs}: {WORDS[target.figure]}"
    bound = f"{'≤' if target.at_most else '≥'} {target.bound:g}"
    return [what, bound, ratio.text(".2f") if ratio else "-", target.verdict(ratio)]


def _limit(results: Results) -> str:
    """How many pages a second the machine's cores can do at all, with two processes, and what that says."""
    one, two = results.rounds.get("crawlmq"), results.rounds.get("crawlmq2")
    cores = os.cpu_count() or 1
    if not one or not two:
        return ""
    costs = {who: spread(two, figure).median for figure, who in COSTS.items()}
    most = cores * 1000 / sum(costs.values())
    rate, alone = (spread(rounds, "pages_per_s").median for rounds in (two, one))
    return (
        f"A page of two processes costs {sum(costs.values()):.2f} ms of CPU in all ("
        + ", ".join(f"{who} {cost:.2f}" for who, cost in costs.items())
        + f"), and there are {cores} cores for everything: {most:,.0f} pages/s at most, {most / alone:.2f} times"
        f" what one process does. Two processes reached {rate / most:.0%} of that."
    )


def write(results: Results, everybody: Mapping[str, Contender], notes: Sequence[str]) -> None:
    """Put tables and chart where readers find them."""
    text = report(results, {name: contender.title for name, contender in everybody.items()}, notes)
    place("compare", f"![Pages a second, as bars]({DOCUMENT.stem}.svg)\n\n{text}")
    bars = [Bar(c.title, _rate(results, name), c.ours) for name, c in everybody.items() if name in results.rounds]
    chart = svg("Pages a second: median, and range of the rounds", sorted(bars, key=lambda bar: -bar.value.median))
    DOCUMENT.with_suffix(".svg").write_text(chart)
    print(f"\n{text}\n\nwritten to {DOCUMENT}")


def _rate(results: Results, name: str) -> Spread:
    return spread(results.rounds[name], "pages_per_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="Python of the other crawlers' virtual environment")
    parser.add_argument("--rounds", type=int, default=9, help="odd, so that slow contenders open and close them")
    parser.add_argument("--copies", type=int, default=6, help="of the Python manual, 530 URLs each")
    parser.add_argument("--only", help="names of contenders, separated by commas; nothing is written then")
    parser.add_argument("--quick", action="store_true", help="one round over one copy: whether it runs, not how fast")
    parser.add_argument("--json", type=Path, help="keep the figures of every round in this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.copies = 1
    load = machine.load()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        site = stack.enter_context(StaticSite(stack.enter_context(copies(manual(), options.copies))))
        servers = stack.enter_context(PrivateServers(1))
        notes = [*machine.described(servers, load), f"The others: {machine.pinned(REQUIREMENTS, PACKAGES)}."]
        contest = Contest(site, servers, folder, CRAWLS * (options.rounds + 1))
        everybody = contenders(contest, options.rounds, options.peers, site.folder / "requests.log")
        if options.only:
            everybody = {name: everybody[name] for name in options.only.split(",")}
        results = compete(everybody, options.rounds)
    if options.json:
        options.json.write_text(json.dumps({"rounds": results.rounds, "complaints": results.complaints}, indent=1))
    if options.only or options.quick:
        print(report(results, {name: contender.title for name, contender in everybody.items()}, notes))
    else:
        write(results, everybody, notes)


if __name__ == "__main__":
    main()
