"""Which process dies where, and how many repeated fetches that explains: the steps of the walk, as data."""

from dataclasses import dataclass

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
    "taking": ("push", "TAKE", "crawl"),
    "receiving": ("send", "RECEIVE", "crawl"),
    "finishing": ("seed", "FINISH"),
    "refusing": ("seed", "REFUSE"),
}
#: A story, the repeated fetches that each crash explains (see Step), and the crashes.
_TABLE = (
    ("crawling", 0, 0, "heartbeat.due heartbeat.reply heartbeat.sent orphans.reply"),
    ("crawling", 0, 0, "delivered delivered:5 begin.reply:4 begun begun:7 commit.reply commit.reply:6 committed"),
    ("crawling", 0, 0, "finish.reply finished acknowledged acknowledged:6 leaving left"),
    ("crawling", 1, 0, "fetched fetched:8 items.written group.closed group.kept items.kept items.kept:5"),
    ("crawling", 1, 0, "admitting admitting:4 buried"),
    ("crawling", 0, 1, "publish.reply publish.reply:3 confirmed successor.confirmed release.reply released"),
    ("crawling", 0, 0, "begin.reply:1:drop begin.reply:9:drop commit.reply:1:drop finish.reply:1:drop"),
    ("crawling", 0, 0, "release.reply:1:drop orphans.reply:1:drop heartbeat.reply:1:drop"),
    ("crawling", 0, 1, "publish.reply:1:drop publish.reply:3:drop"),
    ("crawling", 0, 2, " ".join(f"amqp.written:{k}" for k in range(9, 46, 6))),
    ("seeding", 0, 0, "heartbeat.due orphans.reply admitting commit.reply committed publish.reply confirmed"),
    ("seeding", 0, 0, "finish.reply finished leaving left amqp.written:6 amqp.written:7"),
    ("seeding", 0, 0, "commit.reply:1:drop publish.reply:1:drop finish.reply:1:drop"),
    ("resuming", 0, 1, "begin.reply resuming publish.reply confirmed finished acknowledged"),
    ("sweeping", 0, 0, "orphans.reply orphans.leased resuming publish.reply finish.reply"),
    ("sweeping and seeding", 0, 0, "orphans.reply:1:drop"),
    ("replaying", 0, 0, "letters.held reopen.reply reopened left reopen.reply:1:drop"),
    ("replaying", 0, 1, "publish.reply replay.confirmed letter.taken publish.reply:1:drop"),
    ("dropping", 0, 0, "give_up.reply given_up letter.taken give_up.reply:1:drop"),
    ("taking", 0, 0, "committed publish.reply confirmed finished written.admitted written.gone commit.reply:1:drop"),
    (
        "receiving",
        0,
        0,
        "committed publish.reply confirmed finished written.admitted written.gone publish.reply:1:drop",
    ),
    ("finishing", 0, 0, "claim_finale.reply finale.claimed finale.run finale_over.reply finale.over"),
    ("finishing", 0, 0, "claim_finale.reply:1:drop finale_over.reply:1:drop"),
    ("refusing", 1, 0, "items.buried"),
    ("full queue", 0, 1, "confirmed.reply partly.confirmed confirmed.reply:1:drop"),
)


@dataclass(frozen=True)
class Step:
    """One crash.

    ``story`` names what is run, ``at`` is what CRASH_AT is set to, ``again`` how many repeated fetches it explains:
    exactly so many, because one page is in hand at a time. ``perhaps`` more are possible where the crash may leave two
    messages of the broken page: each is tried, if it comes before the other has come to its end. Where one dies while
    it resumes an outbox, that may be the sweeper's, and a story beside it have any page in hand.
    """

    story: str
    again: int
    perhaps: int
    at: str

    def __str__(self):
        return f"{self.story} {self.at}"

    @property
    def point(self):
        return self.at.split(":")[0]

    @property
    def drops(self):
        return self.at.endswith(":drop")

    @property
    def beside(self):
        """Whether a page may be in hand that has nothing to do with the place of the crash."""
        return self.point == "amqp.written" or self.story == "resuming"

    @property
    def letters(self):
        """How many dead letters of the broken page may be left; one confirmed just before the crash is doubled."""
        if self.story == "dropping":
            return {0}
        if self.story == "refusing":  # of an invalid item as well, and its page was fetched twice
            return {3}
        return {1, 2} if self.beside or self.point == "buried" else {1}


STEPS = {str(step): step for *cause, crashes in _TABLE for at in crashes.split() for step in [Step(*cause, at)]}
