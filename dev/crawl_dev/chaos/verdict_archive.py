"""The oracle of WARC files: every page is in them, as the site gave it, and nothing else is."""

from collections import Counter
from collections.abc import Iterator, Sequence

from crawl_dev.chaos.complaint import some
from crawl_dev.chaos.faults import Fetch
from crawl_dev.chaos.plan import Kind, PagePlan, SitePlan
from crawl_dev.chaos.truth_server import body
from crawl_dev.chaos.warc_files import Archive, Capture

_OK = 200


def complaints(plan: SitePlan, fetches: Sequence[Fetch], archive: Archive, *, deaths: int) -> Iterator[str]:
    """What is wrong with an archive.

    Args:
        plan: what there was to keep.
        fetches: the site's log: no response can be kept that it did not give.
        archive: what was kept.
        deaths: processes that may have left their last record cut.
    """
    yield from archive.broken
    if len(archive.torn) > deaths:
        yield f"{len(archive.torn)} files are cut, and {deaths} processes were killed: {archive.torn[0]} …"
    pages = {url: page for url, page in plan.reachable.items() if page.fetches}
    kept = Counter(capture.url for capture in archive.captures)
    yield from some("are not in the archive", [url for url in pages if not kept[url]])
    fewer = [url for url, page in pages.items() if 0 < kept[url] < _at_least(page)]
    yield from some("are in the archive less often than they were answered and settled", fewer)
    answered = Counter((fetch.url, fetch.status) for fetch in fetches)
    invented = Counter((capture.url, capture.status) for capture in archive.captures) - answered
    yield from some("captures are of no answer", [f"{url} ({status})" for url, status in invented])
    wrong = [capture.url for capture in archive.captures if capture.url in pages and not _right(plan, capture)]
    yield from some("captures have another body than the page", wrong)


def _at_least(page: PagePlan) -> int:
    """Responses that must have been kept: a page that failed once may have failed a consumer that was killed then."""
    return 1 if page.kind is Kind.FLAKY else page.fetches


def _right(plan: SitePlan, capture: Capture) -> bool:
    page = plan.reachable[capture.url]
    failed_first = page.kind is Kind.FLAKY and capture.status != _OK
    return capture.body == (b"" if failed_first else body(plan, page))
