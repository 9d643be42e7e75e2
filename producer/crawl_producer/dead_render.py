"""Dead letters for people: a line, a page, a table of counts. What strangers wrote cannot steer the terminal."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from crawl_dedup import escaped, shown
from crawl_producer.broker import Delivery
from crawl_producer.dead_ends import Ended
from crawl_producer.dead_letters import Letter

HEADER = f"{'died (UTC)':19}  {'queue':20}  {'tries':>5}  {'status':>6}  {'reason':32}  url"
#: Longer reasons are cut in a line; ``show`` has them whole.
_REASON_CHARS = 32
#: Tables and lists in a header that are shown, one in another; RabbitMQ's own are two.
_SHOWN_DEPTH = 8
#: Reasons why letters cannot be replayed that are told; --json has all.
_SHOWN_REASONS = 10


def line(letter: Letter) -> str:
    """One letter in one line, under :data:`HEADER`."""
    reason = shown(letter.reason)
    reason = reason if len(reason) <= _REASON_CHARS else reason[: _REASON_CHARS - 1] + "…"
    return (
        f"{_moment(letter.died_ms):19}  {letter.queue:20}  {_known(letter.attempts):>5}  {_known(letter.status):>6}  "
        f"{reason:{_REASON_CHARS}}  {shown(letter.url or f'(no URL: {letter.unreadable})')}"
    )


def whole(delivery: Delivery, letter: Letter) -> dict[str, object]:
    """All that is known of a letter: its fields, its headers as they came, and its bytes as text."""
    return letter.as_dict() | {
        "headers": _jsonable(dict(delivery.headers)),
        "body": letter.body.decode("utf-8", "backslashreplace"),
    }


def fields(shown: Mapping[str, object]) -> str:
    """The answer of :func:`whole`, one field a line."""
    return "\n".join(f"{name:14} {escaped(_field(name, value))}" for name, value in shown.items() if value is not None)


def counted(stats: Mapping[str, object]) -> str:
    """The answer of ``DeadStats.as_dict`` as a table."""
    return "\n".join(_counted(stats))


def told(ended: Ended, *, replay: bool) -> str:
    """What became of letters, and why some stayed."""
    if not replay:
        still = f" ({ended.given_up:,} of their URLs were still open)" if ended.given_up else ""
        return f"{ended.dropped:,} dropped{still}"
    parts = [f"{ended.replayed:,} replayed"]
    parts += [f"{ended.already:,} had ended since"] if ended.already else []
    parts += [f"{ended.skipped.total():,} cannot be replayed"] if ended.skipped else []
    reasons = [f"  {count:,} stay: {shown(reason)}" for reason, count in ended.skipped.most_common(_SHOWN_REASONS)]
    return "\n".join([", ".join(parts), *reasons])


def _counted(stats: Mapping[str, object]) -> Iterator[str]:
    yield f"{stats['letters']:,} dead letters"
    for title in ("queues", "reasons", "hosts", "ages"):
        counts = stats[title]
        assert isinstance(counts, Mapping)
        if counts:
            yield title
        for name, count in counts.items():
            yield f"  {count:>9,}  {shown(name)}"
        if title == "hosts" and isinstance(more := stats["distinct_hosts"], int) and more > len(counts):
            yield f"             and {more - len(counts):,} more hosts"


def _field(name: str, value: object) -> str:
    if name.endswith("_ms") and isinstance(value, int):
        return f"{_moment(value)} UTC"
    return str(value)


def _moment(unix_ms: int | None) -> str:
    """A Unix time, to the second; a stranger's header may hold a number that is none."""
    try:
        return "" if unix_ms is None else f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return str(unix_ms)


def _known(number: int | None) -> str:
    return "-" if number is None else str(number)


def _jsonable(value: object, depth: int = 0) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case dict() | list() if depth > _SHOWN_DEPTH:
            return "…"
        case dict():
            return {str(name): _jsonable(inner, depth + 1) for name, inner in value.items()}
        case list():
            return [_jsonable(inner, depth + 1) for inner in value]
        case bool() | str() | None:
            return value
        case int():
            return int(value)  # pika's own kind of integer calls itself 5L
    return repr(value)
