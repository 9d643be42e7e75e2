"""Every output, every place between writing and committing at which its process dies, and a site for each: as data."""

from dataclasses import dataclass

#: Where items go. In a name ``{step}`` is the step's own; ``{postgres}`` and ``{mariadb}`` are servers.
OUTPUTS = {
    "lines": ("out/lines/{step}.jsonl",),
    "gz": ("out/gz/{step}.jsonl.gz",),
    "zst": ("out/zst/{step}.jsonl.zst",),
    "csv": ("out/csv/{step}.csv",),
    "warc": ("out/warc/{step}.warc.gz",),
    "sqlite": ("sqlite:///out.db",),
    "postgres": ("{postgres}",),
    "mariadb": ("{mariadb}",),
    "queue": ("exchange:walk.shared",),
    "stream": ("exchange:walk.kept/item.{{kind}}",),
    "list": ("redis:walk.list",),
    "two": ("out/two/{step}.jsonl.gz", "sqlite:///two.db"),
}
#: Those whose later record of a page replaces the earlier one.
REPLACING = {"sqlite", "postgres", "mariadb"}
#: The exchanges, and who reads them.
ITEMS = {
    "walk.shared": {"queues": {"walk.readers": {}}},
    "walk.kept": {"type": "topic", "queues": {"walk.stream": {"type": "stream", "max_bytes": 16_000_000}}},
}
#: The second page's: before it is written, after; before it is flushed, after, twice; before COMMIT, after, twice.
BEFORE = ("fetched:2", "items.written:2", "group.closed:2")
BETWEEN = ("group.kept:2", "items.kept:2", "admitting:2")
AFTER = ("commit.reply:2", "committed:2")
#: Pages of a site, each of which links to the next.
PAGES = 5


@dataclass(frozen=True)
class Step:
    """One output and one crash."""

    output: str
    at: str

    def __str__(self):
        return f"{self.output} {self.at}"

    @property
    def crash(self):
        """For CRASH_AT: of two outputs each has its group of a page."""
        point, _, times = self.at.partition(":")
        return f"{point}:3" if self.output == "two" and point.startswith("group.") else f"{point}:{times}"

    @property
    def doubles(self):
        """How many records may be there twice."""
        if self.output == "two" and self.at == "group.kept:2":
            return {0, 1}  # one of the two has it, the other perhaps
        return {0} if self.output in REPLACING or self.at not in BETWEEN else {1}


STEPS = {str(step): step for output in OUTPUTS for at in BEFORE + BETWEEN + AFTER for step in [Step(output, at)]}


def page(path):
    """The page of a site at ``/site/number``, as (title, body)."""
    site, number = path.strip("/").split("/")
    link = f'<a href="/{site}/{int(number) + 1}">on</a>' if int(number) + 1 < PAGES else ""
    title = f'{site}, "größer" {number}'
    return title, f"<meta charset=utf-8><title>{title}</title>{link}".encode()
