"""The cases of published test suites, where their files are at hand (CRAWL_CORPORA), and what we make of each."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from crawl_consumer.charset import detect
from crawl_dedup import UrlInvalid, canonicalize, host, join

CORPORA = Path(os.environ.get("CRAWL_CORPORA") or Path(__file__).parents[2] / "shared" / "corpora")
URLS = CORPORA / "wpt" / "urltestdata.json"
HOSTS = CORPORA / "wpt" / "toascii.json"
ENCODINGS = (CORPORA / "encoding" / "tests1.dat", CORPORA / "encoding" / "tests2.dat")

_ENCODING = re.compile(rb"#data\n(.*?)\n#encoding\n(\S+)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """``name`` tells it apart; ``kind`` says what is expected of it, for counting."""

    name: str
    kind: str
    expected: str
    answer: str

    @property
    def passes(self):
        return self.expected == self.answer


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def url_cases():
    """Input, base and the serialised URL (None for failure), as in the standard's file."""
    cases = [case for case in json.loads(URLS.read_text(encoding="utf-8")) if isinstance(case, dict)]
    return [(case["input"], case["base"], case.get("href")) for case in cases]


def url_case(text, base, href):
    expected = _expected(href)
    answer = _answer(text, base)
    kind = expected if expected in {"refused", "scheme"} else "url"
    if expected == "refused" and answer in {"scheme", "syntax", "no_host"}:
        answer = "refused"
    return Case(f"{text!r} on {base!r}", kind, expected, answer)


def host_case(text, output):
    """``domain to ASCII`` of the standard, as the host of a URL."""
    answer = _answer(f"https://{text}/", None)
    if answer.startswith("https://"):
        answer = host(answer)
    elif output is None:
        answer = "refused"
    return Case(repr(text), "host" if output else "refused", output or "refused", answer)


def host_cases():
    cases = [case for case in json.loads(HOSTS.read_text(encoding="utf-8")) if isinstance(case, dict)]
    return [host_case(case["input"], case["output"]) for case in cases]


def encoding_cases(file):
    found = _ENCODING.findall(file.read_bytes())
    return [Case(repr(body)[:80], "encoding", name.decode().lower(), detect(body, None)) for body, name in found]


def _expected(href):
    """What we make of the standard's serialisation: no fragment, no credentials, http and https only."""
    if href is None:
        return "refused"
    scheme, _, rest = href.partition("#")[0].partition("://")
    if scheme not in {"http", "https"}:
        return "scheme"
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _answer(text, base):
    try:
        return join(base, text) if base is not None else canonicalize(text)
    except UrlInvalid as invalid:
        return str(invalid)
