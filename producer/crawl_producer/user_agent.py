"""Who we say we are to the sites that we ask."""

from importlib.metadata import PackageNotFoundError, version


def user_agent(configured: str | None = None) -> str:
    """The User-Agent to send: the crawl's own, or one that says who we are and where to complain.

    Raises:
        ValueError: it would not fit into one header line.
    """
    if configured is None:
        return f"CrawlMQ/{installed_version()} (+https://github.com/crawlmq/crawlmq)"
    if not configured or not configured.isascii() or not configured.isprintable():
        raise ValueError(f"user agent {configured!r} is not one line of printable ASCII")
    return configured


def installed_version() -> str:
    """The version of CrawlMQ."""
    try:
        return version("crawlmq")
    except PackageNotFoundError:  # a checkout that was never installed
        return "dev"
