"""The protocol's stories step by step: what a consumer, a seeder and a replay do, so that they can stop anywhere.

A story's ``step`` is a method that does one step and chooses the next; None: it is over. Each step makes one call of
the ledger or one publication, and ``lost`` means that its answer was lost, so that the client did it a second time.
"""

from crawl_dedup import Commit, Verdict

#: The pages of the crawl, and their links. One has none, one leads to itself, and all are reachable from either seed.
LINKS = {0: (1, 2, 3), 1: (0, 4), 2: (5, 2), 3: (), 4: (1, 2, 0), 5: (3, 4)}
SEEDS = {"first": (0,), "second": (3, 1)}


def message_of(page):
    return str(page).encode()


class Story:
    """One consumer's work on something; ``world`` is the machine with its broker."""

    def __init__(self, world, consumer, page, delivery=None):
        self.world, self.consumer, self.page, self.delivery = world, consumer, page, delivery
        self.unpublished = []
        self.next_attempt = 0
        self.fetched = False  #: and not committed
        self.step = self.begin if delivery is not None else None

    def __repr__(self):
        step = self.step.__name__ if self.step else "over"
        return f"<{type(self).__name__} of {self.page} by {self.consumer.name}: {step}>"

    @property
    def url(self):
        return self.world.url(self.page)

    async def call(self, lost, function, *args, **more):
        answer = await function(*args, **more)
        return await function(*args, **more) if lost else answer

    async def begin(self, lost, fate):
        begun = await self.call(lost, self.consumer.ledger.begin, self.url, attempt=self.delivery.message.attempt)
        match begun.verdict:
            case Verdict.DONE:
                self.step = self.ack
            case Verdict.BUSY:
                self.step = self.park
            case Verdict.PUBLISH:
                self.to_publish(begun.outbox)
            case Verdict.GO:
                self.step = self.fetch

    async def fetch(self, lost, fate):
        self.world.fetches[self.page] += 1
        self.fetched = True
        self.outcome, self.links = "ok", LINKS[self.page]
        self.step = self.commit
        if fate == "retry":
            self.world.explain(self.page)
            self.step = self.retry
        if fate == "dead":
            self.world.buried.add(self.page)
            self.outcome, self.links = "failed", ()
            self.step = self.bury

    async def bury(self, lost, fate):
        self.world.bury(self.page)
        self.step = self.commit

    async def commit(self, lost, fate):
        messages = [(self.world.url(link), message_of(link)) for link in self.links]
        commit = Commit(self.url, self.outcome, messages, {"filtered:scope": 1})
        committed = await self.call(lost, self.consumer.ledger.commit, commit)
        self.fetched = False
        if committed.outbox is None:
            self.ended()
        else:
            self.to_publish(committed.outbox)

    def to_publish(self, outbox):
        self.unpublished = [int(body) for _, body in outbox.messages]
        self.parent = outbox.parent
        self.step = self.publish if self.unpublished else self.finish

    async def publish(self, lost, fate):
        """One message; without a confirm it is published again."""
        self.world.publish(self.unpublished[0])
        if not lost:
            del self.unpublished[0]
        if not self.unpublished:
            self.step = self.finish
        elif fate == "refused":
            # A full queue took what it has; the rest waits in the outbox.
            self.step = self.forget

    async def forget(self, lost, fate):
        outbox = (await self.world.ledger_state()).waiting.get(self.parent, frozenset())
        has = [child for child in outbox if child not in {self.world.url(page) for page in self.unpublished}]
        await self.call(lost, self.consumer.ledger.confirmed, self.parent, has)
        self.step = self.park if self.delivery is not None else None

    async def finish(self, lost, fate):
        if await self.call(lost, self.consumer.ledger.finish, self.parent):
            self.ended()
        else:
            self.step = self.begin if self.delivery is not None else self.again()

    def again(self):
        """Redis has lost the commit, and there is no delivery; whoever seeded seeds again."""
        return

    def ended(self):
        self.world.ended(self.page)
        self.step = self.ack if self.delivery is not None else None

    async def park(self, lost, fate):
        self.world.parked.append(self.delivery.message)
        self.step = self.release

    async def retry(self, lost, fate):
        message = self.delivery.message
        self.world.parked.append(message._replace(attempt=message.attempt + 1))
        self.next_attempt = message.attempt + 1
        self.step = self.release

    async def release(self, lost, fate):
        release = self.consumer.ledger.release
        await self.call(lost, release, self.url, next_attempt=self.next_attempt)
        self.fetched = False
        self.step = self.ack

    async def ack(self, lost, fate):
        self.world.acknowledge(self.delivery)
        self.step = None


class Seeding(Story):
    """A batch of seeds."""

    def __init__(self, world, consumer, batch):
        super().__init__(world, consumer, batch)
        self.outcome, self.links, self.step = "seeded", SEEDS[batch], self.commit

    @property
    def url(self):
        return self.consumer.ledger.seed_parent(self.page.encode())

    def again(self):
        return self.commit

    def ended(self):
        self.world.seeded.add(self.page)
        self.step = None


class Sweep(Story):
    """An outbox that was left behind; the page is unknown to the sweeper, as is a delivery."""

    def __init__(self, world, consumer, outbox):
        super().__init__(world, consumer, world.pages.get(outbox.parent))
        self.to_publish(outbox)


class Replay(Story):
    """A dead letter, published again."""

    def __init__(self, world, consumer, letter):
        super().__init__(world, consumer, letter.page)
        self.letter, self.step = letter, self.reopen

    async def reopen(self, lost, fate):
        reopen = self.consumer.ledger.reopen
        opened = await self.call(lost, reopen, self.url, outcome="failed", letter=self.letter.identity)
        self.world.explain(self.page)
        self.step = self.publish_again if opened else self.take

    async def publish_again(self, lost, fate):
        self.world.publish(self.page)
        if not lost:
            self.step = self.take

    async def take(self, lost, fate):
        self.world.held_letters.discard(self.letter)
        self.step = None


class Drop(Replay):
    """A dead letter, dropped for good."""

    def __init__(self, world, consumer, letter):
        super().__init__(world, consumer, letter)
        self.step = self.give_up

    async def give_up(self, lost, fate):
        if await self.call(lost, self.consumer.ledger.give_up, self.url, "dropped", letter=self.letter.identity):
            self.world.ended(self.page)
        self.step = self.take
