"""Dead letters counted: by queue, reason, host and age, in memory that does not grow with their number."""

from collections import Counter
from dataclasses import dataclass, field

from crawl_producer.dead_letters import Letter

#: Age classes: the name, and the age in milliseconds below which a letter belongs to it.
AGES_MS = {
    "under an hour": 3_600_000,
    "under a day": 86_400_000,
    "under a week": 604_800_000,
    "under 30 days": 2_592_000_000,
}
OLDER = "older"
UNKNOWN_AGE = "unknown"


@dataclass(slots=True)
class DeadStats:
    """The counts so far. Memory grows with the number of distinct hosts and reasons only.

    Args:
        now_ms: Unix time that ages are counted from.
    """

    now_ms: int
    letters: int = 0
    queues: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    ages: Counter[str] = field(default_factory=Counter)
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def add(self, letter: Letter) -> None:
        """Count one letter."""
        self.letters += 1
        self.queues[letter.queue] += 1
        self.reasons[letter.kind] += 1
        self.hosts[letter.host or "-"] += 1
        self.ages[self._age(letter.died_ms)] += 1
        if letter.died_ms is not None:
            self.oldest_ms = min(self.oldest_ms or letter.died_ms, letter.died_ms)
            self.newest_ms = max(self.newest_ms or letter.died_ms, letter.died_ms)

    def as_dict(self, top: int) -> dict[str, object]:
        """For ``--json``: every count, and the ``top`` hosts with the most letters."""
        return {
            "letters": self.letters,
            "queues": dict(self.queues),
            "reasons": dict(self.reasons.most_common()),
            "hosts": dict(self.hosts.most_common(top)),
            "distinct_hosts": len(self.hosts),
            "ages": {age: self.ages[age] for age in (*AGES_MS, OLDER, UNKNOWN_AGE) if self.ages[age]},
            "oldest_ms": self.oldest_ms,
            "newest_ms": self.newest_ms,
        }

    def _age(self, died_ms: int | None) -> str:
        if died_ms is None:
            return UNKNOWN_AGE
        return next((age for age, below_ms in AGES_MS.items() if self.now_ms - died_ms < below_ms), OLDER)
