"""A walk over every crash point, with real servers: a process dies there, another goes on, and nothing is missing.

Each step has a crawl of its own: the commands of its story run one after the other, one of them with ``CRASH_AT``;
then the books, the queues, the records and the site's own count of requests must be those of a crawl without faults,
but for the repeated fetches that this crash explains.
"""

import asyncio
import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from crash_steps import STEPS, STORIES
from crawl_dedup import LedgerName, open_redis, read_progress
from crawl_dedup.crash_points import DROPPABLE, POINTS
from crawl_dev.site import OWN_SITE
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Outgoing
from crawl_producer.settings import Overrides, load
from e2e_kit import wait_until
from ledger_worlds import RedisWorld
from walked_site import ATTEMPTS, BROKEN, OUTCOMES, PLAN, RECORDED, walked_site
from zygote import Zygote

#: Steps that are walked side by side.
LANES = 3
#: Beyond a heartbeat's time to live and the grace of outboxes: the dead are known to be dead.
LATER_S = 20
#: Room in a queue that is to be full: less than the home page has links. A quorum queue would take some more.
NARROW = 4
#: A spider that writes down each time that it is told of the end, and one that makes an item which is invalid.
SPIDERS = """
from pydantic import BaseModel

from crawl_consumer.spider import Spider

class Strict(BaseModel):
    n: int

class Refusing(Spider):
    def parse(self, page):
        if page.url.endswith("/1"):
            yield page.item(Strict, n="x")
        yield from super().parse(page)

class Telling(Spider):
    name = "telling"

    def on_finish(self, finished):
        with open(f"{finished.crawl}.finished", "a") as file:
            print(finished.admitted, file=file)
"""


def test_no_place_is_left_out():
    assert {step.point for step in STEPS.values()} == POINTS
    assert {step.point for step in STEPS.values() if step.drops} == DROPPABLE


@pytest.mark.parametrize("step", STEPS)
def test_a_crawl_is_complete_after_a_crash_at(step, walk):
    walk.futures[step].result()


def test_afterwards_the_queues_hold_nothing_but_the_dead_letters(walk):
    for future in walk.futures.values():
        future.exception()
    fetched = {copy: dict(counts) for copy, counts in walk.site.fetched.items()}
    # A copy of a URL that is done may come out of a delay queue after the end: it is turned away.
    wait_until(lambda: not any(name.startswith("crawl.delay.") for name in walk.held()), "the delays to be over")
    walk.run("crawl-consumer", "--queue", "*.pages", "--until-done", "--quiet")
    letters = {f"dead.{crawl}.pages": STEPS[step].letters for step, crawl in walk.crawls.items()}

    def as_it_should_be():
        """A quorum queue tells its counts every five seconds, and the last letters are younger than that."""
        held = walk.held()
        return all(held.pop(queue, 0) in good for queue, good in letters.items()) and not held

    wait_until(as_it_should_be, f"the letters {letters} and nothing else")
    assert walk.site.fetched == fetched


@pytest.fixture(scope="module")
def walk(request, rabbit, redis_server, tmp_path_factory):
    """Every step that is asked for; they begin at once, some side by side."""
    items = (item for item in request.session.items if item.path == request.path and hasattr(item, "callspec"))
    wanted = [item.callspec.params["step"] for item in items]
    rabbit.heal()
    redis_server.heal()
    rabbit.add_vhost("walk")
    zygotes = [Zygote() for _ in range(LANES)]
    try:
        with walked_site() as site, ThreadPoolExecutor(LANES) as pool:
            environment = rabbit.environment(vhost="walk") | redis_server.environment() | OWN_SITE
            walks = _Walks(wanted, site, tmp_path_factory.mktemp("walk"), zygotes, environment)
            walks.queues = lambda: rabbit.list_queues(vhost="walk")
            walks.run("crawl-topology", "apply")
            walks.futures = {step: pool.submit(walks.take, step) for step in wanted}
            yield walks
    finally:
        for zygote in zygotes:
            zygote.close()
        rabbit.delete_vhost("walk")


class _Walks:
    def __init__(self, wanted, site, folder, zygotes, environment):
        self.site, self.folder, self.environment = site, folder, environment
        self.crawls = {step: f"c{number}" for number, step in enumerate(wanted)}
        self._zygotes = SimpleQueue()
        for zygote in zygotes:
            self._zygotes.put(zygote)
        (folder / "exchanges.yaml").write_text(json.dumps(self._topology()))
        (folder / "walked.py").write_text(SPIDERS)

    def held(self):
        """The messages of every queue that has some."""
        return {queue["name"]: queue["messages"] for queue in self.queues() if queue["messages"]}

    def run(self, *command):
        """A command for all steps."""
        zygote = self._zygotes.get()
        log = self.folder / "all.log"
        assert zygote.run(*command, cwd=self.folder, log=log, **self.environment) == 0, log.read_text()
        self._zygotes.put(zygote)

    def take(self, name):
        """Walk one step."""
        zygote = self._zygotes.get()
        try:
            _Walk(self, STEPS[name], self.crawls[name], zygote).take()
        finally:
            self._zygotes.put(zygote)

    def _topology(self):
        queues = {
            f"{crawl}.pages": {"crawl": crawl, "bindings": [{"exchange": "walk", "key": crawl}]}
            | ({"type": "classic", "max_length": NARROW} if STEPS[step].story == "full queue" else {})
            for step, crawl in self.crawls.items()
        }
        rules = {"robots": {"obey": False}, "retry": {"max_attempts": ATTEMPTS, "first_delay_s": 0.05}}
        crawls = {crawl: {"exchange": "walk", "key": crawl, **rules} for crawl in self.crawls.values()}
        inboxes = {
            f"{crawl}.inbox": {"crawl": crawl, "bindings": [{"exchange": "walk", "key": f"{crawl}.inbox"}]}
            for step, crawl in self.crawls.items()
            if STEPS[step].story == "receiving"
        }
        return {"exchanges": {"walk": {"type": "direct"}}, "queues": queues, "crawls": crawls, "inboxes": inboxes}


class _Walk:
    def __init__(self, walks, step, crawl, zygote):
        self._step, self._crawl, self._zygote = step, crawl, zygote
        self._site, self._folder, self._environment = walks.site, walks.folder, walks.environment
        self._log = walks.folder / f"{crawl}.log"
        self._log.touch()
        queue = f"{crawl}.pages"
        consumer = (
            "crawl-consumer", "--queue", queue, "--until-done", "--concurrency", "1", "--quiet",
            "--output", crawl + "/",
        )  # fmt: skip
        self._commands = {
            "seed": ("crawl-seed", "--crawl", crawl, walks.site.home(crawl)),
            "crawl": consumer,
            "finish": (*consumer, "--spider", "walked:Telling"),
            "refuse": (*consumer, "--spider", "walked:Refusing"),
            "replay": ("crawl-dead", "replay", "--yes", "--json", "--queue", queue),
            "drop": ("crawl-dead", "drop", "--yes", "--json", "--queue", queue),
            "take": ("crawl-seed", "--crawl", crawl, "--redis-key", crawl),
            "receive": ("crawl-seed", "--inbox", f"{crawl}.inbox"),
        }  # fmt: skip
        self._written = {"push": self._push, "send": self._send}

    def take(self):
        try:
            for act in STORIES[self._step.story]:
                if act in self._written:
                    asyncio.run(self._written[act]())
                elif act.isupper():
                    self._crash(act.lower(), self._step.at)
                    self._run(act.lower())
                elif " until " in act:
                    self._crash(*act.split(" until "))
                else:
                    self._run(act)
            self._check()
        except BaseException:
            print(f"== {self._step}\n{self._log.read_text()}")
            raise

    def _crash(self, command, at):
        """The command gets to the place and dies there; or it loses a connection there and ends well."""
        if at.endswith(":drop"):
            self._run(command, CRASH_AT=at)
            assert f"dropping the connection at {at.split(':')[0]}" in self._log.read_text()
        else:
            self._run(command, code=-signal.SIGKILL, CRASH_AT=at)
        asyncio.run(self._later())

    def _run(self, command, *, code=0, **more):
        with self._log.open("a") as log:
            print(f"$ {command} {more}", file=log)
        environment = self._environment | more if more else self._environment | {"CRASH_AT": ""}
        ended = self._zygote.run(*self._commands[command], cwd=self._folder, log=self._log, **environment)
        assert ended == code, f"{command} {more} ended with {ended}"

    async def _push(self):
        async with await open_redis(self._environment["CRAWL_REDIS_URL"], name="walk") as redis:
            await redis.call("RPUSH", self._crawl, self._site.home(self._crawl))

    async def _send(self):
        given = {name.removeprefix("CRAWL_").lower(): value for name, value in self._environment.items()}
        topology = load(self._folder / "exchanges.yaml", Overrides(**given)).topology
        async with AmqpBroker(topology.connection, name="walk") as broker:
            body = self._site.home(self._crawl).encode()
            await broker.publish(Outgoing("walk", f"{self._crawl}.inbox", body, message_id="1"))

    async def _later(self):
        async with await open_redis(self._environment["CRAWL_REDIS_URL"], name="walk") as redis:
            await RedisWorld(redis, name=LedgerName(self._crawl)).passes(LATER_S)

    async def _books(self):
        async with await open_redis(self._environment["CRAWL_REDIS_URL"], name="walk") as redis:
            return await read_progress(redis, LedgerName(self._crawl))

    def _check(self):
        books = asyncio.run(self._books())
        assert books.complete
        assert books.admitted == len(PLAN)
        assert books.outcomes == OUTCOMES
        kinds = Counter({kind.split(":")[0]: 0 for kind in books.counts})
        for kind, count in books.counts.items():
            kinds[kind.split(":")[0]] += count
        assert kinds["adopted"] == 0
        assert kinds["discovered"] == books.admitted + kinds["duplicate"] + kinds["filtered"]
        self._check_fetches()
        self._check_records()
        if self._step.story == "finishing":
            self._check_finishes()

    def _check_fetches(self):
        fetched, plan = self._site.fetched[self._crawl], Counter(PLAN)
        if self._step.story == "replaying":
            plan[BROKEN] += ATTEMPTS
        assert not plan - fetched, "not fetched"
        again = fetched - plan
        least, most = self._step.again, self._step.again + self._step.perhaps
        assert least <= again.total() <= most, again
        if not self._step.beside:
            assert again.total() - again[BROKEN] <= least, again

    def _check_finishes(self):
        told = (self._folder / f"{self._crawl}.finished").read_text().split()
        assert told == [str(len(PLAN))] * (2 if self._step.point == "finale.run" else 1)

    def _check_records(self):
        files = (self._folder / self._crawl).glob("*.jsonl")
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        by_page = Counter(record["url"].rpartition("/")[2] for record in records)
        assert by_page.keys() == RECORDED
        assert by_page.total() <= len(RECORDED) + self._step.again + self._step.perhaps
