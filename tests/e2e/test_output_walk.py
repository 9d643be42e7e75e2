"""A walk over every output and every place between write, flush and COMMIT, with real servers and ``kill -9``.

Each step has a crawl of its own, whose consumer dies while it is at the second of five pages. Another consumer goes on,
told by exchanges.yaml alone where items go. Then whoever reads the output and keeps one record for each key has each
page once, with what stands on it; and there are no more doubles than this crash explains.
"""

import asyncio
import csv
import gzip
import io
import json
import re
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

import pytest
import sqlalchemy as sa
from backports import zstd
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from crawl_dedup import LedgerName, open_redis
from crawl_dev.site import OWN_SITE
from ledger_worlds import RedisWorld
from output_steps import ITEMS, OUTPUTS, PAGES, STEPS, page
from zygote import Zygote

#: Commands that run side by side.
LANES = 3
#: Beyond a heartbeat's time to live: the dead are known to be dead.
LATER_S = 20

#: The first test waits for all crawls.
pytestmark = pytest.mark.timeout(900)


def steps_of(output):
    return [name for name, step in STEPS.items() if step.output == output]


@pytest.mark.parametrize("step", STEPS)
def test_each_page_has_one_record_for_each_key_after_a_crash_at(step, walk):
    site, url = walk.site_of(step), walk.url
    records = [record for record in walk.records(STEPS[step].output) if f"/{site}/" in record["url"]]
    by_key = {record["_key"]: record for record in records}
    assert {record["url"]: record["title"] for record in by_key.values()} == {
        f"{url}/{site}/{number}": page(f"/{site}/{number}")[0] for number in range(PAGES)
    }
    assert len(by_key) == PAGES
    assert all(record == by_key[record["_key"]] for record in records)
    assert len(records) - PAGES in STEPS[step].doubles
    assert set(Counter(record["_key"] for record in records).values()) <= {1, 2}


@pytest.mark.parametrize("step", steps_of("two"))
def test_both_of_two_outputs_have_everything_after_a_crash_at(step, walk):
    mine = f"/{walk.site_of(step)}/"
    first, second = walk.records("two"), walk.rows("sqlite:///two.db")
    assert {r["_key"] for r in first if mine in r["url"]} == {r["_key"] for r in second if mine in r["url"]}


@pytest.mark.parametrize("step", steps_of("warc"))
def test_archives_pass_their_check_after_a_crash_at(step, walk):
    files = [str(path) for path in walk.folder.glob(f"out/warc/{walk.site_of(step)}-*")]
    assert len(files) == 2, "one of the dead, one of the living"
    checker = Checker(type("Arguments", (), {"inputs": files, "verbose": False})())
    checker.process_all()
    assert checker.exit_value == 0


@pytest.fixture(scope="module")
def walk(request, rabbit, redis_server, postgres, mariadb, tmp_path_factory):
    """All steps that are asked for, walked."""
    items = (item for item in request.session.items if item.path == request.path)
    wanted = {item.callspec.params["step"] for item in items}
    rabbit.heal()
    redis_server.heal()
    rabbit.add_vhost("outputs")
    zygotes = [Zygote() for _ in range(LANES)]
    environment = rabbit.environment(vhost="outputs") | redis_server.environment() | OWN_SITE
    places = {"postgres": postgres.url, "mariadb": mariadb.url}
    try:
        with _site() as url:
            walk = _Walk(wanted, url, tmp_path_factory.mktemp("outputs"), zygotes, environment, places)
            walk.take()
            yield walk
    finally:
        for zygote in zygotes:
            zygote.close()
        rabbit.delete_vhost("outputs")


class _Walk:
    def __init__(self, wanted, url, folder, zygotes, environment, places):
        self.url, self.folder = url, folder
        self._environment, self._places = environment, places
        self._sites = {step: f"s{number}" for number, step in enumerate(STEPS) if step in wanted}
        self._zygotes = SimpleQueue()
        for zygote in zygotes:
            self._zygotes.put(zygote)
        self.records = cache(self._records)

    def site_of(self, step):
        return self._sites[step]

    def take(self):
        """Everything crashes, time passes, and everything goes on."""
        (self.folder / "exchanges.yaml").write_text(json.dumps(self._topology()))
        self._run("crawl-topology", "apply")
        with ThreadPoolExecutor(LANES) as pool:
            list(pool.map(self._crash, self._sites))
            asyncio.run(self._later())
            list(pool.map(self._go_on, dict.fromkeys(STEPS[step].output for step in self._sites)))

    def rows(self, url):
        """The records in a database."""
        engine = sa.create_engine(url.replace("sqlite:///", f"sqlite:///{self.folder}/"))
        with engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT _page, _number, url, title FROM pages")).all()
        engine.dispose()
        return [{"_key": f"{of}.{number}", "url": url, "title": title} for of, number, url, title in rows]

    def _records(self, output):
        """Everything in an output, doubles included."""
        match output:
            case "sqlite" | "postgres" | "mariadb":
                return self.rows(OUTPUTS[output][0].format(**self._places))
            case "queue":
                return _records(self._run("crawl-items", "walk.readers").splitlines())
            case "stream":
                return _records(self._run("crawl-items", "walk.stream").splitlines())
            case "list":
                return _records(asyncio.run(self._list()))
            case _:
                return [record for path in sorted(self.folder.glob(f"out/{output}/*")) for record in _read(path)]

    def _topology(self):
        sites = {site: STEPS[step] for step, site in self._sites.items()}
        outputs = {
            site: [output.format(step=site, **self._places) for output in OUTPUTS[step.output]]
            for site, step in sites.items()
        }
        return {
            "exchanges": {"walk": {"type": "direct"}},
            "queues": {
                f"{step.output}.{site}": {"crawl": site, "bindings": [{"exchange": "walk", "key": site}]}
                for site, step in sites.items()
            },
            "crawls": {
                site: {"exchange": "walk", "key": site, "robots": {"obey": False}, "outputs": outputs[site]}
                for site in sites
            },
            "items": ITEMS,
        }

    def _crash(self, step):
        site, (output, crash) = self._sites[step], (STEPS[step].output, STEPS[step].crash)
        self._run("crawl-seed", "--crawl", site, f"{self.url}/{site}/0")
        consume = ("crawl-consumer", "--queue", f"{output}.{site}", "--concurrency", "1", "--until-done", "--quiet")
        self._run(*consume, code=-signal.SIGKILL, CRASH_AT=crash)

    def _go_on(self, output):
        self._run("crawl-consumer", "--queue", f"{output}.*", "--until-done", "--quiet")

    def _run(self, *command, code=0, CRASH_AT=""):  # noqa: N803 - the variable's name
        zygote = self._zygotes.get()
        log = self.folder / f"{'-'.join(command[:3]).replace('*', 'all')}-{CRASH_AT}.log"
        try:
            ended = zygote.run(*command, cwd=self.folder, log=log, **self._environment, CRASH_AT=CRASH_AT)
        finally:
            self._zygotes.put(zygote)
        assert ended == code, f"{command} {CRASH_AT} ended with {ended}: {log.read_text()}"
        return log.read_text()

    async def _later(self):
        async with await open_redis(self._environment["CRAWL_REDIS_URL"], name="walk") as redis:
            for site in self._sites.values():
                await RedisWorld(redis, name=LedgerName(site)).passes(LATER_S)

    async def _list(self):
        async with await open_redis(self._environment["CRAWL_REDIS_URL"], name="walk") as redis:
            return await redis.call("LRANGE", "walk.list", 0, -1)


def _read(path):
    """The records in a file, each of which must be whole."""
    data = path.read_bytes()
    match path.suffixes[-2:]:
        case [".warc", ".gz"]:
            return _captures(data)
        case [*_, ".gz"]:
            data = gzip.decompress(data)
        case [*_, ".zst"]:
            data = zstd.decompress(data)
        case [".csv"]:
            return _of(csv.DictReader(io.StringIO(data.decode(), newline="")))
    return _records(data.splitlines())


def _records(lines):
    return _of(map(json.loads, lines))


def _of(records):
    return [{name: record[name] for name in ("_key", "url", "title")} for record in records]


def _captures(data):
    """An archive's responses; a page's key is its URL."""
    records = []
    for record in ArchiveIterator(io.BytesIO(data)):
        if record.rec_type == "response":
            url = record.rec_headers["WARC-Target-URI"]
            title = re.search(r"<title>(.*)</title>", record.content_stream().read().decode())[1]
            records.append({"_key": url, "url": url, "title": title})
    return records


@contextmanager
def _site():
    """The pages of all sites, served by threads of this process; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            _, body = page(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
