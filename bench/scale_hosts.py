"""What a page costs when the same number of small pages lie on one host, or on ten thousand.

The pages are seeds and have no links. Without politeness a host is only a name and a connection; with it, every page
takes a turn of its host, and with few hosts most URLs wait for theirs, so only many hosts are measured so.
"""

from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from measured import Run, copies
from quick import Contest, figures_of
from tables import table

from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

HOSTS, PAGES = (1, 10, 100, 1_000, 10_000), 10_000
#: Hosts that are asked politely, once a second.
POLITE_HOSTS = (1_000, 10_000)
PAGE = "<!doctype html><title>A page</title><p>Nothing but a page."


class ManyNames:
    """Crawls of one site under many names.

    Args:
        contest: the site and the consumer.
        folder: for lists of hosts and seeds.
        pages: how many to fetch in each crawl.
    """

    def __init__(self, contest: Contest, folder: Path, pages: int) -> None:
        self._contest, self._folder, self._pages = contest, folder, pages
        self._tags = count()

    def crawl(self, crawl: str, hosts: int, pages: int, delay_s: float) -> Run:
        tag = next(self._tags)
        names, seeds = self._folder / f"{tag}.hosts", self._folder / f"{tag}.urls"
        port = self._contest.site.port
        names.write_text("".join(f"127.0.0.1 h{n}.test\n" for n in range(hosts)))
        seeds.write_text("".join(f"http://h{n % hosts}.test:{port}/tiny/?{tag}-{n}\n" for n in range(pages)))
        self._contest.seed(crawl, "--file", str(seeds))
        run = self._contest.consume(crawl, "--hosts", str(names), CRAWL_DELAY_S=str(delay_s))
        if len(run.paths) != pages:
            raise SystemExit(f"{len(run.paths)} of {pages} pages were fetched")
        return run

    def row(self, crawl: str, hosts: int, delay_s: float) -> list[str]:
        """A line of the table."""
        figures = figures_of(self.crawl(crawl, hosts, self._pages, delay_s), self.crawl("single", hosts, 1, delay_s))
        manners = f"every {delay_s:g} s" if delay_s else "off"
        costs = [f"{figures[key]:.2f}" for key in ("cpu_ms", "redis_cpu_ms")]
        return [f"{hosts:,}", manners, f"{figures['pages_per_s']:,.0f}", *costs]


def measure(quick: bool) -> str:
    """The results as Markdown."""
    share = 10 if quick else 1
    cases = [(hosts // share or 1, 0.0) for hosts in HOSTS] + [(hosts // share, 1.0) for hosts in POLITE_HOSTS]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        pages = stack.enter_context(copies(folder, 0))
        (pages / "tiny").mkdir()
        (pages / "tiny" / "index.html").write_text(PAGE)
        site = stack.enter_context(StaticSite(pages))
        servers = stack.enter_context(PrivateServers(1))
        contest = Contest(site, servers, folder, len(cases), settings={"robots": {"obey": False}})
        names = ManyNames(contest, folder, PAGES // share)
        rows = [names.row(f"round{n}", hosts, delay_s) for n, (hosts, delay_s) in enumerate(cases)]
    note = f"{PAGES // share:,} pages without links in each crawl, one run each, one consumer."
    return f"{table(['hosts', 'politeness', 'pages/s', 'consumer, ms/page', 'Redis, ms/page'], rows)}\n\n{note}"
