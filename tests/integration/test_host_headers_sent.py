"""Header fields for some hosts on real sockets: who gets them, and who never does."""

import base64

import pytest

from dictionary_site import dictionary_site
from workbench_kit import ran

PASSWORD = "hunter2-7f3a"
SENT = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()


@pytest.fixture
def sites(tmp_path):
    """A site with a password, that leads to another one by a redirect, a link and its robots.txt."""
    with dictionary_site({}) as other, dictionary_site({}) as wiki:
        elsewhere = f"http://other.example:{other.port}"
        wiki.pages |= {
            "/robots.txt": (302, {"Location": f"{elsewhere}/robots.txt"}, ""),
            "/": f'<a href="/moved">m</a><a href="{elsewhere}/linked">l</a>',
            "/moved": (301, {"Location": f"{elsewhere}/moved-here"}, ""),
        }
        other.pages |= {"/robots.txt": "", "/linked": "", "/moved-here": ""}
        (tmp_path / "hosts").write_text("127.0.0.1 wiki.example other.example\n")
        (tmp_path / "exchanges.yaml").write_text(
            "exchanges: {x: {type: fanout}}\nqueues: {q: {crawl: c, bindings: [{exchange: x}]}}\n"
            "crawls: {c: {exchange: x, scope: {any_host: true}, hosts: {"
            f"'http://wiki.example:{wiki.port}': {{basic_auth: {{username: me, password_env: WIKI}}}},"
            f"'*:{other.port}': {{headers: {{Accept-Language: de}}}}}}}}}}\n"
        )
        yield wiki, other


def test_a_password_goes_to_its_host_and_never_along_with_a_redirect_or_a_link(sites, tmp_path):
    wiki, other = sites
    home = f"http://wiki.example:{wiki.port}/"
    out, err = ran("trial", home, "--hosts", "hosts", "--debug", "-o", "items.jsonl", folder=tmp_path, WIKI=PASSWORD)
    assert "complete: 4 fetched" in err
    assert {path: headers.get("Authorization") for path, headers in wiki.headers.items()} == {
        "/robots.txt": SENT, "/": SENT, "/moved": SENT,
    }  # fmt: skip
    assert set(other.headers) == {"/robots.txt", "/linked", "/moved-here"}
    assert [headers.get("Authorization") for headers in other.headers.values()] == [None] * 3
    assert {headers["Accept-Language"] for headers in other.headers.values()} == {"de"}
    said = out + err + (tmp_path / "items.jsonl").read_text()
    assert PASSWORD not in said
    assert SENT not in said


def test_a_host_without_a_pattern_gets_what_every_host_gets(sites, tmp_path):
    wiki, _ = sites
    ran("fetch", wiki.home, folder=tmp_path, WIKI=PASSWORD, code=18)
    assert not {"Authorization", "Accept-Language"} & set(wiki.headers["/robots.txt"])


def test_a_password_that_is_not_set_ends_the_command_before_anything_is_asked(sites, tmp_path):
    wiki, _ = sites
    _, err = ran("trial", wiki.home, folder=tmp_path, code=3)
    assert "WIKI: not set" in err
    assert wiki.asked == []
