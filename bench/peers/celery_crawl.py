"""A crawl as tasks of Celery on RabbitMQ: requests and lxml, a Redis set of what was seen, two prefork workers.

Tasks are acknowledged late, so a worker that dies loses none; results are not kept. ``celery_crawl.py URL`` ends when
the site has been quiet for a while, because a task queue does not know when a crawl is complete.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import lxml.html
import redis
import requests
from celery import Celery

WORKERS = 2
#: The site was asked for nothing for so long: the crawl is over. The time is not counted.
QUIET_S = 3.0

app = Celery("celery_crawl", broker=os.environ["BENCH_AMQP_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_send_task_events=False)

http = requests.Session()
http.trust_env = False  # or it would look for proxies and passwords in the environment before each request
http.headers["User-Agent"] = "celery"
memory = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


@app.task(name="crawl")
def crawl(url):
    page = http.get(url)
    if not page.headers.get("Content-Type", "").startswith("text/html"):
        return
    tree = lxml.html.fromstring(page.content)
    host = urlsplit(url).netloc
    urls = {urldefrag(urljoin(url, href)).url for href in tree.xpath("//a/@href")}
    follow([url for url in urls if urlsplit(url).netloc == host])


def follow(urls):
    """Make a task of each URL that is new: one round trip for all of a page."""
    with memory.pipeline(transaction=False) as pipe:
        for url in urls:
            pipe.sadd("seen", url)
        for url, new in zip(urls, pipe.execute(), strict=True):
            if new:
                crawl.delay(url)


def wait_until_quiet(log: Path) -> None:
    before = size = log.stat().st_size
    changed = time.monotonic()
    while size == before or time.monotonic() - changed < QUIET_S:
        time.sleep(0.2)
        if log.stat().st_size != size:
            size, changed = log.stat().st_size, time.monotonic()


if __name__ == "__main__":
    log = Path(os.environ["BENCH_REQUEST_LOG"])
    memory.flushdb()  # of the round before, which has seen all these URLs
    follow([sys.argv[1]])
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore::UserWarning", "-m", "celery", "--app", "celery_crawl", "worker",
         "--pool", "prefork", "--concurrency", str(WORKERS),
         "--loglevel", "ERROR", "--without-gossip", "--without-mingle"],
        cwd=Path(__file__).parent,
    )  # fmt: skip
    wait_until_quiet(log)
    worker.terminate()
    worker.wait()
