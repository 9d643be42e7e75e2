"""Anything that may happen to the ledger's protocol, in any order, and what must be true after each step.

Two consumers, a model of the broker (ready, parked and delivered messages, dead letters) and a real ledger. Stories
(tests/protocol_stories.py) go on step by step, in any order; consumers are killed, cut off, or stand still until their
leases are void; answers get lost; Redis falls back to what it had earlier.
"""

import random
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol_stories import LINKS, SEEDS, Drop, Replay, Seeding, Story, Sweep

#: Beyond a heartbeat's time to live (15 s) and the grace of outboxes (10 s).
DEAD_S = 16.13
#: Beyond any lease that nobody renews (30 s).
FORGOTTEN_S = 61.7

#: What becomes of a fetch, or of a publication, and how a consumer's life or connection ends.
FATES = ("ok", "ok", "ok", "retry", "dead", "refused")
ENDS = ("connection lost", "killed", "left")

picks = st.integers(0, 30)
names = st.sampled_from(["a", "b"])
fates = st.sampled_from(FATES)


class Message(NamedTuple):
    """A page, and the attempt that it is for."""

    page: int
    attempt: int = 0


@dataclass(eq=False)
class Delivery:
    """A message in somebody's hands, until it is acknowledged or its connection is gone."""

    message: Message
    consumer: str
    stale: bool = False


@dataclass(frozen=True)
class Letter:
    """A dead letter."""

    page: int
    identity: str


@dataclass(frozen=True)
class Consumer:
    """One life of a consumer process."""

    name: str
    ledger: object


class ProtocolMachine(RuleBasedStateMachine):
    """The rules of one world; see tests/protocol_worlds.py."""

    def __init__(self, world):
        super().__init__()
        self.world, self._lives, self._letters = world, count(1), count(1)
        self.ready, self.parked, self.in_hand = [], [], []
        self.letters, self.held_letters = [], set()
        self.stories, self.consumers = [], {}
        self.fetches, self.explained = Counter(), Counter()
        self.seeded, self.buried, self.excused = set(), set(), set()
        self.saved = None

    @initialize()
    def begin(self):
        self.run(self.world.empty())
        for name in "ab":
            self._live(name)
        ledger = self.consumers["a"].ledger
        self._urls = {page: ledger.fingerprint(f"https://example.org/{page}") for page in LINKS}
        self.pages = {url: page for page, url in self._urls.items()}
        self.pages |= {ledger.seed_parent(batch.encode()): batch for batch in SEEDS}
        self.save()
        self.seed("a", "first")
        self.go_on("a", 0, 99, lost=False, fate="ok")

    # what stories do to the world

    def run(self, work):
        return self.world.run(work)

    def url(self, page):
        return self._urls[page]

    async def ledger_state(self):
        return await self.world.state()

    def publish(self, page):
        self.ready.append(Message(page))

    def acknowledge(self, delivery):
        if not delivery.stale:
            self.in_hand.remove(delivery)

    def bury(self, page):
        self.letters.append(Letter(page, f"letter {next(self._letters)}"))

    def explain(self, page):
        self.explained[page] += 1

    def ended(self, page):
        if isinstance(page, str):
            self.seeded.add(page)
        else:
            self.excused.discard(page)
            self._ended.add(page)

    # what goes on

    @precondition(lambda self: not any(isinstance(story, Seeding) for story in self.stories))
    @rule(name=names, batch=st.sampled_from(sorted(SEEDS)))
    def seed(self, name, batch):
        self.stories.append(Seeding(self, self.consumers[name], batch))

    def deliver(self, name, pick):
        delivery = Delivery(self.ready.pop(pick % len(self.ready)), name)
        self.in_hand.append(delivery)
        self.stories.append(Story(self, self.consumers[name], delivery.message.page, delivery))

    @rule(name=names, pick=picks, steps=st.integers(1, 8), lost=st.booleans(), fate=fates)
    def go_on(self, name, pick, steps, lost, fate):
        """A story does some steps, or a message is delivered, or a parked one comes back."""
        able = self.able()
        pick %= len(able) + len(self.ready) + len(self.parked) or 1
        if pick < len(able):
            for n in range(steps):
                if able[pick].step is not None:
                    self._step(able[pick], lost and n == 0, fate)
        elif pick < len(able) + len(self.ready):
            self.deliver(name, pick)
        elif self.parked:
            self.ready.append(self.parked.pop(pick % len(self.parked)))

    @rule(chance=st.integers(0, 1 << 60).map(random.Random))
    def much_happens(self, chance):
        """A hurly-burly that rules drawn one by one would hardly come to."""
        for _ in range(8):
            name, pick, fate = chance.choice("ab"), chance.randrange(31), chance.choice(FATES)
            match chance.choices(("go on", "sweep", "letter", "end", "time", "redis"), (24, 1, 1, 3, 1, 1))[0]:
                case "go on":
                    self.go_on(name, pick, chance.randint(1, 5), chance.random() < 0.2, fate)
                case "sweep":
                    self.sweep(name)
                case "letter" if self.letters:
                    self.end_letter(name, chance.choice((Replay, Drop)), pick)
                case "end":
                    self.end(name, chance.choice(ENDS))
                case "time":
                    self.time_passes(chance.choice(("a", "b", "")), chance.choice((DEAD_S, FORGOTTEN_S)))
                case "redis":
                    self.redis(chance.random() < 0.4)
            self.nothing_is_lost()
            self.every_repeated_fetch_is_explained()

    @rule(name=names)
    def sweep(self, name):
        consumer = self.consumers[name]
        self.stories += [Sweep(self, consumer, outbox) for outbox in self.run(consumer.ledger.orphans(limit=2))]

    @precondition(lambda self: self.letters)
    @rule(name=names, end=st.sampled_from([Replay, Drop]), pick=picks)
    def end_letter(self, name, end, pick):
        letter = self.letters.pop(pick % len(self.letters))
        self.held_letters.add(letter)
        self.stories.append(end(self, self.consumers[name], letter))

    # what goes wrong

    @precondition(lambda self: self.in_hand or self.stories)
    @rule(name=names, how=st.sampled_from(ENDS))
    def end(self, name, how):
        if how == "connection lost":
            self.lose_connection(name)
            return
        self._die(name)
        if how == "left":
            self.run(self.consumers[name].ledger.leave())
        self._live(name)

    def lose_connection(self, name):
        for delivery in [d for d in self.in_hand if d.consumer == name]:
            self.in_hand.remove(delivery)
            delivery.stale = True
            self.ready.insert(0, delivery.message)

    @rule(frozen=st.sampled_from(["a", "b", ""]), seconds=st.sampled_from([DEAD_S, DEAD_S, FORGOTTEN_S]))
    def time_passes(self, frozen, seconds):
        """Who is frozen sends no heartbeat, and goes on later nevertheless."""
        self.run(self.world.passes(seconds))
        for name, consumer in self.consumers.items():
            if name != frozen:
                self.run(consumer.ledger.heartbeat())
        # Everybody's heartbeat was late.
        for story in self.stories:
            self.explain(story.page)

    @rule(falls=st.sampled_from([False, False, True]))
    def redis(self, falls):
        """Redis writes down what it has; or it dies and comes back with what it had written down last."""
        if falls:
            self.fall_back()
        else:
            self.save()

    def save(self):
        self.saved = self.run(self.world.save())
        self._ended, self._fetches_then = set(), self.fetches.copy()

    def fall_back(self):
        """What has ended since is open again, perhaps without a message; it was fetched, and may be fetched again."""
        self.run(self.world.restore(self.saved))
        self.excused |= self._ended
        for page in [*(self.fetches - self._fetches_then), *self._ended, *(story.page for story in self.stories)]:
            self.explain(page)

    # what must be true

    @invariant()
    def nothing_is_lost(self):
        state = self.run(self.world.state())
        waiting = frozenset().union(*state.waiting.values())
        in_hands = {d.message.page for d in self.in_hand} | {story.page for story in self.stories}
        letters = {letter.page for letter in (*self.letters, *self.held_letters)}
        queued = {message.page for message in (*self.ready, *self.parked)}
        safe = {*queued, *in_hands, *letters, *self.excused}
        lost = [self.pages[url] for url in state.admitted - waiting if self.pages[url] not in safe]
        assert not lost, f"nobody has a message for {lost}"
        assert not state.admitted & state.done

    @invariant()
    def the_books_agree(self):
        state, books = self.run(self.world.state()), self.run(self.consumers["a"].ledger.progress())
        counts = Counter(books.counts)
        filtered = sum(by for what, by in counts.items() if what.startswith("filtered:"))
        assert counts["discovered"] == books.admitted - counts["adopted"] + counts["duplicate"] + filtered
        assert books.open == len(state.admitted)
        assert books.outboxes == len(state.waiting)
        assert sum(books.outcomes.values()) == len(state.done)
        assert books.admitted == len(state.admitted | state.done)

    @invariant()
    def every_repeated_fetch_is_explained(self):
        for page, fetches in self.fetches.items():
            assert fetches <= 1 + self.explained[page], f"page {page} was fetched {fetches} times"

    def teardown(self):
        if not self.consumers:
            return
        for name in "ab":
            self.end(name, "killed")
        while self._work_left():
            self._step(self.able()[0], lost=False, fate="ok")
            self.nothing_is_lost()
        self.every_repeated_fetch_is_explained()
        self._check_end()

    # how

    def able(self):
        """The stories that may go on: in one process a second delivery of a URL waits for the first."""
        first, able = set(), []
        for story in self.stories:
            key = (story.consumer, story.page)
            if story.delivery is None or key not in first:
                able.append(story)
            if story.delivery is not None:
                first.add(key)
        return able

    def _step(self, story, lost, fate):
        self.run(story.step(lost, fate))
        if story.step is None:
            self.stories.remove(story)

    def _live(self, name):
        life = f"{name}{next(self._lives)}"
        self.consumers[name] = Consumer(life, self.run(self.world.ledger(life)))
        self.run(self.consumers[name].ledger.heartbeat())

    def _die(self, name):
        dying = [story for story in self.stories if story.consumer is self.consumers[name]]
        for story in dying:
            self.stories.remove(story)
            if story.fetched:
                self.explain(story.page)
            if isinstance(story, Replay):
                self.held_letters.discard(story.letter)
                self.letters.append(story.letter)
        self.lose_connection(name)

    def _work_left(self):
        """Whether there is something to do, once everything that would come by itself has come."""
        if not self.stories:
            self.time_passes("", FORGOTTEN_S)
            self.sweep("a")
            self.ready += self.parked
            self.parked.clear()
            for batch in SEEDS.keys() - self.seeded:
                self.seed("a", batch)
            while self.ready:
                self.deliver("a", 0)
            while self.letters:
                self.end_letter("a", Replay, 0)
        return bool(self.stories)

    def _check_end(self):
        state = self.run(self.world.state())
        assert not state.waiting
        assert {self.pages[url] for url in state.admitted} <= self.excused
        expected = {page for links in SEEDS.values() for page in links}
        while new := {link for page in expected - self.buried for link in LINKS[page]} - expected:
            expected |= new
        assert expected <= self.fetches.keys(), "never fetched"
