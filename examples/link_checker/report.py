"""Says which links are broken, on which page each stands, and why.

crawl-dead list --crawl links --json | python report.py links.db warc/
"""

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from warcio.archiveiterator import ArchiveIterator

#: A browser gives up after so many.
MOST_REDIRECTS = 20


def broken(database: str, archives: str, letters: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Page, link and reason of each broken link.

    Args:
        database: what link_checker.py has filled.
        archives: the folder of the WARC files.
        letters: the dead letters, as ``crawl-dead list --json`` prints them: what never answered, or with a 5xx.
    """
    answers = dict(_answers(Path(archives)))
    dead = {letter["url"]: letter["reason"] for letter in map(json.loads, letters)}
    links = sqlite3.connect(database).execute("SELECT DISTINCT page, target FROM link ORDER BY page, target")
    for page, target in links:
        if reason := _reason(target, answers, dead):
            yield page, target, reason


def _answers(folder: Path) -> Iterator[tuple[str, tuple[int, str | None]]]:
    """The status of every URL, and where it leads if it is a redirect; the latest, if there were several."""
    for path in sorted(folder.glob("*.warc.gz"), key=lambda path: path.stat().st_mtime):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == "response":
                    status = int(record.http_headers.get_statuscode())
                    yield record.rec_headers["WARC-Target-URI"], (status, record.http_headers.get_header("Location"))


def _reason(url: str, answers: Mapping[str, tuple[int, str | None]], dead: Mapping[str, str]) -> str | None:
    """Why the link is broken; None: it is not, or nobody has looked (out of scope, or forbidden by robots.txt)."""
    for _ in range(MOST_REDIRECTS):
        if url in dead:
            return dead[url]
        status, location = answers.get(url, (0, None))
        if status not in {301, 302, 303, 307, 308} or location is None:
            return f"{status}" if status >= 400 else None
        url = urldefrag(urljoin(url, location))[0]
    return "redirected for ever"


if __name__ == "__main__":
    found = list(broken(sys.argv[1], sys.argv[2], sys.stdin))
    for page, target, reason in found:
        print(f"{target}\n  {reason}, linked from {page}")
    sys.exit(1 if found else 0)
