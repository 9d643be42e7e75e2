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
from dataclasses import dataclass
from queue import SimpleQueue

import pytest

from crawl_dedup import LedgerName, open_redis, read_progress
from crawl_dedup.crash_points import DROPPABLE, POINTS
from ledger_worlds import RedisWorld
from walked_site import ATTEMPTS, BROKEN, OUTCOMES, PLAN, RECORDED, walked_site
from zygote import Zygote

#: Steps that are walked side by side.
LANES = 3
#: Beyond a heartbeat's time to live and the grace of outboxes: the dead are known to be dead.
LATER_S = 20
#: Room of the queue in the steps of a full queue: less than the home page has links. A quorum queue would take some more.
NARROW = 4


@dataclass(frozen=True)
class Step:
    """One crash.

    ``story`` names what is run (see STORIES), ``at`` is what CRASH_AT is set to, ``again`` how many repeated fetches
    it explains: exactly so many, because one page is in hand at a time. ``perhaps`` more are possible where the crash
    may leave two messages of the broken page: each is tried, if it comes before the other has come to its end.
    """

    story: str
    at: str
    again: int = 0
    perhaps: int = 0

    def __str__(self):
        return f"{self.story} {self.at}"

    @property
    def point(self):
        return self.at.split(":")[0]

    @property
    def drops(self):
        return self.at.endswith(":drop")

    @property
    def letters(self):
        """How many dead letters of the broken page may be left."""
        if self.story == "dropping":
            return {0}
        return {1, 2} if self.point in {"buried", "amqp.written"} else {1}


#: The commands of each story; the one in capitals crashes, and is then run again. Time passes after each crash.
STORIES = {
    "crawling": ("seed", "CRAWL"),
    "seeding": ("SEED", "crawl"),
    "resuming": ("seed", "crawl until committed:2", "CRAWL"),
    "sweeping": ("seed until committed", "CRAWL"),
    "sweeping and seeding": ("seed until committed", "SEED", "crawl"),
    "replaying": ("seed", "crawl", "REPLAY", "crawl"),
    "dropping": ("seed", "crawl", "DROP"),
    "full queue": ("seed", "CRAWL"),
}


def steps():
    """Every crash of the walk. The home page comes first, then the broken one."""
    for at in (
        "heartbeat.due", "heartbeat.reply", "heartbeat.sent", "orphans.reply", "delivered", "delivered:5", "begin.reply:4",
        "begun", "begun:7", "commit.reply", "commit.reply:6", "committed", "finish.reply", "finished",
        "acknowledged", "acknowledged:6", "leaving", "left",
    ):  # fmt: skip
        yield Step("crawling", at)
    for at in ("publish.reply", "publish.reply:3", "confirmed", "successor.confirmed", "release.reply", "released"):
        yield Step("crawling", at, perhaps=1)
    for at in ("fetched", "fetched:8", "items.kept", "items.kept:5", "admitting", "admitting:4", "buried"):
        yield Step("crawling", at, again=1)
    for at in ("begin", "commit", "finish", "release", "orphans", "heartbeat"):
        yield Step("crawling", f"{at}.reply:1:drop")
    yield Step("crawling", "publish.reply:1:drop", perhaps=1)
    yield Step("crawling", "begin.reply:9:drop")
    yield Step("crawling", "publish.reply:3:drop", perhaps=1)
    for count in range(9, 46, 6):
        yield Step("crawling", f"amqp.written:{count}", perhaps=2)
    for at in (
        "heartbeat.due", "orphans.reply", "admitting", "commit.reply", "committed", "publish.reply", "confirmed",
        "finish.reply", "finished", "leaving", "left", "amqp.written:6", "amqp.written:7",
        "commit.reply:1:drop", "publish.reply:1:drop", "finish.reply:1:drop",
    ):  # fmt: skip
        yield Step("seeding", at)
    for at in ("begin.reply", "resuming", "publish.reply", "confirmed", "finished", "acknowledged"):
        yield Step("resuming", at, perhaps=1)
    for at in ("orphans.reply", "orphans.leased", "resuming", "publish.reply", "finish.reply"):
        yield Step("sweeping", at)
    yield Step("sweeping and seeding", "orphans.reply:1:drop")
    for at in ("letters.held", "reopen.reply", "reopened", "left", "reopen.reply:1:drop"):
        yield Step("replaying", at)
    for at in ("publish.reply", "replay.confirmed", "letter.taken", "publish.reply:1:drop"):
        yield Step("replaying", at, perhaps=1)
    for at in ("give_up.reply", "given_up", "letter.taken", "give_up.reply:1:drop"):
        yield Step("dropping", at)
    for at in ("confirmed.reply", "partly.confirmed", "confirmed.reply:1:drop"):
        yield Step("full queue", at, perhaps=1)


STEPS = {str(step): step for step in steps()}


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
    # A copy of a URL that is done may have come out of a delay queue since: it is turned away.
    walk.run("crawl-consumer", "--queue", "*.pages", "--until-done", "--quiet")
    held = {queue["name"]: queue["messages"] for queue in walk.queues() if queue["messages"]}
    for step, crawl in walk.crawls.items():
        letters = held.pop(f"dead.{crawl}.pages", 0)
        # A letter that was confirmed just before the crash is written a second time.
        assert letters in STEPS[step].letters, step
    assert held == {}
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
            environment = rabbit.environment(vhost="walk") | redis_server.environment() | {"CRAWL_DELAY_S": "0"}
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
        return {"exchanges": {"walk": {"type": "direct"}}, "queues": queues, "crawls": crawls}


class _Walk:
    def __init__(self, walks, step, crawl, zygote):
        self._step, self._crawl, self._zygote = step, crawl, zygote
        self._site, self._folder, self._environment = walks.site, walks.folder, walks.environment
        self._log = walks.folder / f"{crawl}.log"
        self._log.touch()
        queue = f"{crawl}.pages"
        self._commands = {
            "seed": ("crawl-seed", "--crawl", crawl, walks.site.home(crawl)),
            "crawl": (
                "crawl-consumer", "--queue", queue, "--until-done", "--concurrency", "1", "--quiet", "--output", crawl + "/",
            ),
            "replay": ("crawl-dead", "replay", "--yes", "--json", "--queue", queue),
            "drop": ("crawl-dead", "drop", "--yes", "--json", "--queue", queue),
        }  # fmt: skip

    def take(self):
        try:
            for act in STORIES[self._step.story]:
                if act.isupper():
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

    def _check_fetches(self):
        fetched, plan = self._site.fetched[self._crawl], Counter(PLAN)
        if self._step.story == "replaying":
            plan[BROKEN] += ATTEMPTS
        assert not plan - fetched, "not fetched"
        again = fetched - plan
        least, most = self._step.again, self._step.again + self._step.perhaps
        assert least <= again.total() <= most, again
        if self._step.point != "amqp.written":
            assert again.total() - again[BROKEN] <= least, again

    def _check_records(self):
        files = (self._folder / self._crawl).glob("*.jsonl")
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        by_page = Counter(record["url"].rpartition("/")[2] for record in records)
        assert by_page.keys() == RECORDED
        assert by_page.total() <= len(RECORDED) + self._step.again + self._step.perhaps
