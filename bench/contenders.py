"""Who takes part in ``make bench``: two plain loops, CrawlMQ with one process and with two, and four other crawlers.

Each is a program that crawls everything below a start page and ends. The other crawlers live in ``peers/`` and run in a
virtual environment of their own; where they use RabbitMQ or Redis, these are the very ones that CrawlMQ uses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measured import Run, run
from quick import CONNECTIONS, Contest

from crawl_dev.management import PASSWORD, USERNAME

PEERS = Path(__file__).parent / "peers"
#: A crawler that hangs is ended after this; ours take seconds, the slowest peer a minute, on a quiet machine.
PATIENCE_S = 600
#: Ways in which CrawlMQ crawls in each round, each as a crawl of its own.
CRAWLS = 3
#: Databases of the Redis, so that nobody meets another's keys; CrawlMQ has number 0.
CELERY_DATABASE, SCRAPY_DATABASE = 1, 2


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those who take part.

    Attributes:
        title: for readers.
        go: crawls in this round from the page at this path.
        slow: crawls one copy of the site, in every other round.
        ours: whether it is CrawlMQ.
    """

    title: str
    go: Callable[[int, str], Run]
    slow: bool = False
    ours: bool = False


def contenders(contest: Contest, rounds: int, python: Path, request_log: Path) -> dict[str, Contender]:
    """Everybody, by a short name.

    Args:
        contest: the site, the servers, and CrawlMQ's crawls: :data:`CRAWLS` for each round, and as many more.
        rounds: how many there are; the one for the start-up has number -1.
        python: of the peers' virtual environment.
        request_log: the site's; Celery is at its end when nothing is added to it any more.
    """
    broker = f"amqp://{USERNAME}:{PASSWORD}@127.0.0.1:{contest.servers.rabbit.nodes[0].port}//"
    redis = contest.servers.redis.url.removesuffix("/0")
    celery = {
        "BENCH_AMQP_URL": broker,
        "BENCH_REDIS_URL": f"{redis}/{CELERY_DATABASE}",
        "BENCH_REQUEST_LOG": str(request_log),
    }
    peer, ours = partial(_peer, contest, python), partial(_crawlmq, contest)
    first, second, third = (1 + way * (1 + rounds) for way in range(CRAWLS))
    return {
        "lean": Contender("lean loop: a ceiling, nothing durable", partial(_loop, contest, "lean")),
        "crawlmq2": Contender("CrawlMQ, --processes 2", partial(ours, second, ("--processes", "2")), ours=True),
        "crawlmq": Contender("CrawlMQ, one process", partial(ours, first, ()), ours=True),
        "crawlmq-tree": Contender(
            "CrawlMQ, one process, with trees", partial(ours, third, ("--spider", "trees:Trees")), ours=True
        ),
        "celery": Contender("Celery, 2 prefork workers", partial(peer, "celery_crawl", celery)),
        "bare": Contender("bare loop: nothing durable", partial(_loop, contest, "bare")),
        "crawlee": Contender("crawlee-python, in memory", partial(peer, "crawlee_crawl", {}), slow=True),
        "scrapy": Contender("Scrapy, in memory", partial(peer, "scrapy_crawl", {}), slow=True),
        "scrapy-redis": Contender(
            "scrapy-redis",
            partial(peer, "scrapy_crawl", {"BENCH_REDIS_URL": f"{redis}/{SCRAPY_DATABASE}"}),
            slow=True,
        ),
    }


def _loop(contest: Contest, name: str, _round: int, path: str) -> Run:
    return contest.loop(name, path)


def _crawlmq(contest: Contest, first: int, options: Sequence[str], number: int, path: str) -> Run:
    here = str(Path(__file__).parent)  # of a spider
    return contest.consumer(f"round{first + number}", path, *options, PYTHONPATH=here)


def _peer(contest: Contest, python: Path, program: str, environment: Mapping[str, str], _round: int, path: str) -> Run:
    command = ["timeout", "--kill-after=9", str(PATIENCE_S), python, PEERS / f"{program}.py"]
    return run([*command, contest.site.url + path, str(CONNECTIONS)], contest.site, contest.watched, **environment)
