"""What a second and a fourth consumer process add, on a machine whose cores also run RabbitMQ, Redis and the site."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from measured import copies
from quick import Contest, figures_of, manual
from tables import table
from verdicts import Rounds, Spread, spread

from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

PROCESSES = (1, 2, 4)
COPIES, ROUNDS = 6, 3
COLUMNS = {
    "pages_per_s": ",.0f", "cpu_ms": ".2f", "rabbit1_cpu_ms": ".2f", "redis_cpu_ms": ".2f", "nginx_cpu_ms": ".2f",
}  # fmt: skip


def crawled(contest: Contest, rounds: int) -> dict[int, Rounds]:
    """Figures of some rounds, by the number of processes."""
    figures: dict[int, dict[int, dict[str, float]]] = {count: {} for count in PROCESSES}
    start_up = {n: contest.consumer("single", f"single/?{n}", "--processes", str(n)) for n in PROCESSES}
    for number in range(rounds):
        pages = set()
        for place, count in enumerate(PROCESSES[number % 3 :] + PROCESSES[: number % 3]):
            run = contest.consumer(f"round{number * len(PROCESSES) + place}", "", "--processes", str(count))
            figures[count][number] = figures_of(run, start_up[count])
            pages.add(run.paths)
        if len(pages) > 1:
            raise SystemExit(f"the crawls of round {number} did not fetch the same pages")
    return dict(figures)


def measure(quick: bool) -> str:
    """The results as Markdown."""
    rounds = 1 if quick else ROUNDS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        pages = stack.enter_context(copies(manual(), 1 if quick else COPIES))
        site = stack.enter_context(StaticSite(pages))
        servers = stack.enter_context(PrivateServers(1))
        figures = crawled(Contest(site, servers, folder, rounds * len(PROCESSES)), rounds)
    return table(
        ["processes", "pages/s", "times one", "consumers, ms/page", "RabbitMQ", "Redis", "nginx"],
        [row(count, rounds, figures[1]) for count, rounds in figures.items()],
    )


def row(count: int, rounds: Rounds, one: Rounds) -> list[str]:
    rate, *costs = (spread(rounds, key).text(form) for key, form in COLUMNS.items())
    gain = Spread.of([figures["pages_per_s"] / one[n]["pages_per_s"] for n, figures in rounds.items()])
    return [str(count), rate, gain.text(".2f"), *costs]
