"""Certificates of web servers: who proves nothing is asked for nothing, unless exchanges.yaml names the host."""

import asyncio
import gzip
import json

import pytest

from raw_web import answer, raw_web
from web_certificates import AUTHORITY, EXPIRED, GOOD, OF_ANOTHER_HOST, pem, server_context
from workbench_kit import ran

PAGES = {
    "/robots.txt": answer(b"", b"Content-Type: text/plain"),
    "/": answer(b"<title>secret</title><a href=/next>next</a>"),
    "/next": answer(b"<title>next</title>"),
}
CRAWL = """\
exchanges: {{x: {{type: fanout}}}}
queues: {{q: {{crawl: c, bindings: [{{exchange: x}}]}}}}
crawls: {{c: {{exchange: x, robots: {robots}, retry: {{max_attempts: 1}}, hosts: {hosts}}}}}
"""


def asked(certificate, folder, *command, robots=False, hosts=None, code=0, known=True):
    """A command's stdout and stderr, and what the server with this certificate was asked for."""
    (folder / "authority.pem").write_text(pem(AUTHORITY))
    environment = {"SSL_CERT_FILE": str(folder / "authority.pem")} if known else {}

    async def story():
        async with raw_web(PAGES, tls=server_context(certificate, folder)) as web:
            named = {web.origin if name == "web" else name: spec for name, spec in (hosts or {}).items()}
            crawl = CRAWL.format(robots=json.dumps({"obey": robots}), hosts=json.dumps(named))
            (folder / "exchanges.yaml").write_text(crawl)
            program, *words = command
            out, err = await asyncio.to_thread(
                ran, program, web.url("/"), *words, folder=folder, code=code, **environment
            )
            return out, err, [request.split()[1].decode() for request in web.requests]

    return asyncio.run(story())


def test_a_certificate_that_a_known_authority_has_signed_is_believed(tmp_path):
    out, err, requests = asked(GOOD, tmp_path, "fetch", "--json", robots=True)
    (look,) = json.loads(out)
    assert (look["outcome"], look["tls_verified"], requests) == ("ok", True, ["/robots.txt", "/"])
    assert "not verified" not in err


FALSE = [
    pytest.param(EXPIRED, True, "certificate has expired", id="expired"),
    pytest.param(OF_ANOTHER_HOST, True, "IP address mismatch", id="another host's"),
    pytest.param(GOOD, False, "unable to get local issuer", id="signed by a stranger"),
]


@pytest.mark.parametrize(("certificate", "known", "why"), FALSE)
def test_a_certificate_that_proves_nothing_is_a_tls_failure_and_nothing_is_asked(certificate, known, why, tmp_path):
    hosts = {"web": {"headers": {"X": "1"}}, "*.example.org": {"tls": "unverified"}}
    out, _, requests = asked(certificate, tmp_path, "fetch", "--json", hosts=hosts, code=18, known=known)
    (look,) = json.loads(out)
    assert (look["outcome"], look["failure"]["kind"], requests) == ("failed_tls", "tls", [])
    assert why in look["failure"]["detail"]


@pytest.mark.parametrize(("certificate", "known", "why"), FALSE)
def test_a_host_that_need_prove_nothing_is_asked_and_that_is_told(certificate, known, why, tmp_path):
    hosts = {"web": {"tls": "unverified"}}
    out, err, requests = asked(certificate, tmp_path, "fetch", "--json", robots=True, hosts=hosts, known=known)
    (look,) = json.loads(out)
    assert (look["outcome"], look["tls_verified"], requests) == ("ok", False, ["/robots.txt", "/"])
    assert "crawl c: certificates of ['https://127.0.0.1:" in err
    assert "are not verified" in err
    shown, _, _ = asked(certificate, tmp_path, "fetch", hosts=hosts, known=known)
    assert "nobody verified the certificate" in shown


def test_pages_whose_host_proved_nothing_are_counted_and_marked_in_archives(tmp_path):
    words = ("trial", "--json", "-o", "pages.warc.gz", "-o", "pages.jsonl", "--spider", "seen:Seen")
    (tmp_path / "seen.py").write_text(
        "from crawl_consumer.spider import Spider\n\n\nclass Seen(Spider):\n    def parse(self, page):\n"
        "        yield {'url': page.url, 'verified': page.tls_verified}\n        yield page.follow_all()\n"
    )
    out, err, requests = asked(EXPIRED, tmp_path, *words, hosts={"web": {"tls": "unverified"}})
    assert sorted(requests) == ["/", "/next"]
    assert json.loads(out)["links"]["tls:unverified"] == 2
    items = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    assert [item["verified"] for item in items] == [False, False]
    (archive,) = tmp_path.glob("pages*.warc.gz")
    assert gzip.decompress(archive.read_bytes()).count(b"X-TLS-Verified: no\r\n") == 2
    assert "are not verified" in err
