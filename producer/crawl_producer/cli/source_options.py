"""The options of crawl-seed that name where its URLs come from, besides arguments and files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from crawl_dedup import UrlInvalid, canonicalize
from crawl_producer.command import checked
from crawl_producer.since import since_ms

UrlsArgument = Annotated[list[str] | None, typer.Argument(help="URLs to crawl.", show_default=False)]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="Read URLs from a file, one a line, plain or gzip; - is standard input.",
        show_default=False,
    ),
]
SitemapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sitemap",
        metavar="URL",
        help="Read a sitemap, a sitemap index or a robots.txt that names some; repeatable.",
        show_default=False,
    ),
]
FeedOption = Annotated[
    list[str] | None,
    typer.Option("--feed", metavar="URL", help="Read an RSS, Atom or JSON feed; repeatable.", show_default=False),
]
SinceOption = Annotated[
    int | None,
    typer.Option(
        "--since",
        metavar="DATE",
        help="Leave out of sitemaps and feeds what was changed last before 2026-12-01, or 24h ago.",
        parser=checked(since_ms),
        show_default=False,
    ),
]
AnyHostOption = Annotated[
    bool,
    typer.Option("--any-host", help="Take pages of other hosts out of sitemaps and feeds too.", show_default=False),
]
RedisKeyOption = Annotated[
    str | None,
    typer.Option(
        "--redis-key", metavar="KEY", help="Take URLs from a Redis list, set or sorted set.", show_default=False
    ),
]
RedisUrlOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        envvar="CRAWL_SEED_REDIS_URL",
        help="The Redis of --redis-key, where it is not the crawl's own.",
        show_default=False,
        show_envvar=True,
    ),
]
InboxOption = Annotated[
    str | None,
    typer.Option("--inbox", metavar="QUEUE", help="Take URLs from an inbox of exchanges.yaml.", show_default=False),
]
FollowOption = Annotated[
    bool,
    typer.Option(
        "--follow", help="With --redis-key or --inbox: wait for more, until SIGTERM or Ctrl-C.", show_default=False
    ),
]


def lists(sitemaps: list[str] | None, feeds: list[str] | None) -> tuple[str, ...]:
    """The canonical URLs of what is to be read, each once. Raises typer.BadParameter: one is no URL."""
    given = (*(sitemaps or ()), *(feeds or ()))
    try:
        return tuple(dict.fromkeys(canonicalize(url) for url in given))
    except UrlInvalid as error:
        raise typer.BadParameter(f"--sitemap and --feed take http and https URLs ({error})") from None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where URLs are to come from; exactly one of them, but for sitemaps and feeds, which go together.

    Attributes:
        urls: as arguments.
        file: of lines; ``-`` and, if there is nothing else, None are standard input.
        lists: canonical URLs of sitemaps and feeds.
        since_ms: see ``--since``.
        any_host: see ``--any-host``.
        redis_key: a key of Redis.
        redis_url: that Redis; None: the crawl's.
        inbox: a queue.
        follow: wait for more of ``redis_key`` or ``inbox``.
    """

    urls: tuple[str, ...]
    file: Path | None
    lists: tuple[str, ...]
    since_ms: int | None
    any_host: bool
    redis_key: str | None
    redis_url: str | None
    inbox: str | None
    follow: bool

    @property
    def is_service(self) -> bool:
        """Whether other systems write there while we read."""
        return self.redis_key is not None or self.inbox is not None

    def check(self, *, interactive: bool, dry_run: bool) -> None:
        """Raises typer.BadParameter: none, several, or options that belong to another one."""
        given = {
            "URLs": bool(self.urls),
            "--file": self.file is not None,
            "--sitemap or --feed": bool(self.lists),
            "--redis-key": self.redis_key is not None,
            "--inbox": self.inbox is not None,
        }
        named = [name for name, there in given.items() if there]
        if len(named) > 1:
            raise typer.BadParameter(f"give {' or '.join(named[:2])}, not both")
        if not named and interactive:
            raise typer.BadParameter("no URLs: give some, or --file, --sitemap, --feed, --redis-key, or pipe them in")
        if (self.since_ms is not None or self.any_host) and not self.lists:
            raise typer.BadParameter("--since and --any-host belong to --sitemap and --feed")
        if self.follow and not self.is_service:
            raise typer.BadParameter("--follow belongs to --redis-key and --inbox")
        if dry_run and self.is_service:
            raise typer.BadParameter("--dry-run reads URLs, files, sitemaps and feeds")
