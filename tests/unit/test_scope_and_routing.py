from collections import Counter

import pytest

from crawl_consumer import harvest
from crawl_producer.known import Known
from crawl_producer.message import UrlMessage
from crawl_producer.routing import Router
from crawl_producer.scope import MAX_REDIRECTS, Scope
from crawl_producer.topology import CrawlSpec, ScopeSpec


def refusal(url, *, depth=1, root="example.org", redirects=0, **rules):
    return Scope(ScopeSpec(**rules)).refusal(url, depth=depth, root=root, redirects=redirects)


@pytest.mark.parametrize(
    ("url", "rules", "reason"),
    [
        ("https://example.org/a", {}, None),
        ("http://example.org:8080/a", {}, None),
        ("https://www.example.org/a", {}, "host"),
        ("https://example.org.evil.net/", {}, "host"),
        ("https://www.example.org/a", {"subdomains": True}, None),
        ("https://notexample.org/a", {"subdomains": True}, "host"),
        ("https://other.net/", {"any_host": True}, None),
        ("https://other.net/", {"hosts": ["other.net"]}, None),
        ("https://example.org/", {"hosts": ["other.net"]}, "host"),
        ("https://a.other.net/", {"hosts": ["Other.net"], "subdomains": True}, None),
        ("https://example.org/private/x", {"deny": ["/private/"]}, "deny"),
        ("https://example.org/blog/x", {"allow": ["/docs/"]}, "allow"),
        ("https://example.org/docs/x", {"allow": ["/docs/", "/faq"]}, None),
        ("https://example.org/docs/private", {"allow": ["/docs/"], "deny": ["private"]}, "deny"),
        ("https://example.org/" + "a" * 100, {"max_url_chars": 100}, "too_long"),
        ("http://example.org:6667/", {}, "port"),
        ("http://example.org:8080/", {"ports": [80, 443]}, "port"),
        ("http://example.org:8080/", {"ports": [80, 8080]}, None),
        ("http://example.org/", {"ports": [80]}, None),
        ("https://example.org/a:80/", {"ports": [80]}, "port"),
        ("https://example.org/", {"ports": [443]}, None),
        ("http://[2001:4860::8888]/", {"any_host": True, "ports": [80]}, None),
        ("http://[2001:4860::8888]:8888/", {"any_host": True, "ports": [80]}, "port"),
        ("http://[2001:4860::25]:25/", {"any_host": True}, "port"),
    ],
)
def test_a_url_is_in_scope_or_refused_for_one_reason(url, rules, reason):
    assert refusal(url, **rules) == reason


def test_a_sift_answers_as_one_question_after_another_does_for_every_root():
    scope = Scope(ScopeSpec(max_depth=3, deny=["/private/"]))
    urls = [f"https://{host}/{path}" for host in ("a.org", "b.org") for path in ("", "x", "private/x")]
    for root in ("a.org", "b.org", "a.org"):
        for depth in (3, 4):
            kept, refused = scope.sift(urls, depth=depth, root=root)
            answers = {url: scope.refusal(url, depth=depth, root=root) for url in urls}
            assert list(kept) == [url for url, reason in answers.items() if reason is None]
            assert refused == Counter(reason for reason in answers.values() if reason)
    assert scope.sift([], depth=4, root="a.org") == ((), Counter())


def test_depth_is_counted_from_the_seed():
    assert refusal("https://example.org/", depth=3, max_depth=3) is None
    assert refusal("https://example.org/", depth=4, max_depth=3) == "depth"


def test_a_chain_of_redirects_ends():
    assert refusal("https://example.org/", redirects=MAX_REDIRECTS) is None
    assert refusal("https://example.org/", redirects=MAX_REDIRECTS + 1) == "redirects"


def test_the_first_matching_route_wins_and_seeds_have_a_key_of_their_own():
    spec = CrawlSpec(
        exchange="crawl.news", key="rest", seed_key="front",
        routes=[{"match": r"/20\d\d/", "key": "dated"}, {"match": "/mirror/", "key": "m", "exchange": "crawl.other"}],
    )  # fmt: skip
    router = Router(spec)
    assert router.route("https://n.org/2026/x", seed=False) == ("crawl.news", "dated")
    assert router.route("https://n.org/mirror/", seed=True) == ("crawl.other", "m")
    assert router.route("https://n.org/", seed=True) == ("crawl.news", "front")
    assert router.route("https://n.org/", seed=False) == ("crawl.news", "rest")


def test_an_override_wins_over_every_route():
    spec = CrawlSpec(exchange="crawl.news", key="rest", routes=[{"match": ".", "key": "all"}])
    assert Router(spec, key="mine").route("https://n.org/", seed=True) == ("crawl.news", "mine")
    assert Router(spec, exchange="x").route("https://n.org/", seed=True) == ("x", "all")


PAGE = UrlMessage(crawl="docs", url="https://example.org/a", depth=2, root="example.org", redirects=4)


def test_links_go_one_deeper_and_those_outside_are_counted_by_reason():
    urls = ["https://example.org/b", "https://other.net/", "https://elsewhere.net/"]
    gathered = harvest.links(PAGE, urls, Scope(ScopeSpec()), now_ms=7, known=Known(""))
    assert gathered.counts == {"filtered:host": 2}
    assert [UrlMessage.decode(link.encode()) for link in gathered.links] == [
        UrlMessage(crawl="docs", url=urls[0], depth=3, root="example.org", parent=PAGE.url, first_seen_ms=7)
    ]


def test_a_page_brings_so_many_links_and_the_rest_is_counted_and_told(caplog):
    urls = ["https://other.net/", *(f"https://example.org/{n}" for n in range(9)), "https://elsewhere.net/"]
    scope, known = Scope(ScopeSpec(max_links_per_page=4)), Known("this memory")
    for known_ones in ([], urls[2:4]):
        known.add(known_ones)
        gathered = harvest.links(PAGE, urls, scope, now_ms=7, known=known)
        assert [link.url for link in gathered.links] == [url for url in urls[1:5] if url not in known_ones]
        assert gathered.counts["filtered:host"] == 2
        assert gathered.counts["filtered:max_links_per_page"] == 5
        assert "https://example.org/a has 9 links in scope: the last 5 are left out" in caplog.text
    assert gathered.counts["duplicate"] == gathered.counts["discovered"] == 2


def test_a_page_with_so_many_links_as_allowed_brings_them_all(caplog):
    urls = [f"https://example.org/{n}" for n in range(4)]
    gathered = harvest.links(PAGE, urls, Scope(ScopeSpec(max_links_per_page=4)), now_ms=7, known=Known(""))
    assert (len(gathered.links), gathered.counts, caplog.text) == (4, {}, "")


@pytest.mark.parametrize(("page", "link"), [("x" * 2000, ""), ("", "x" * 2000), ("", "")])
def test_the_messages_of_one_page_are_bounded_in_bytes_whatever_may_be_configured(page, link):
    parent = PAGE.model_copy(update={"url": PAGE.url + page})
    urls = [f"https://example.org/{link}{n}" for n in range(50_000)]
    scope = Scope(ScopeSpec(max_links_per_page=1_000_000))
    gathered = harvest.links(parent, urls, scope, now_ms=7, known=Known(""))
    size_bytes = sum(len(one.encode()) for one in gathered.links)
    assert 0.4 * harvest.MAX_OUTBOX_BYTES < size_bytes < harvest.MAX_OUTBOX_BYTES
    assert len(gathered.links) + gathered.counts["filtered:max_links_per_page"] == len(urls)


def test_a_redirect_keeps_the_depth_and_counts_itself():
    gathered = harvest.redirect(PAGE, "https://example.org/b", Scope(ScopeSpec()), now_ms=7)
    assert [(m.depth, m.redirects, m.root) for m in gathered.links] == [(2, 5, "example.org")]


def test_a_seed_that_moves_takes_its_crawl_to_the_new_host():
    seed = UrlMessage(crawl="docs", url="https://example.org/", root="example.org")
    gathered = harvest.redirect(seed, "https://www.example.org/", Scope(ScopeSpec()), now_ms=7)
    assert [m.root for m in gathered.links] == ["www.example.org"]


def test_a_page_below_a_seed_cannot_redirect_out_of_scope():
    gathered = harvest.redirect(PAGE, "https://other.net/", Scope(ScopeSpec()), now_ms=7)
    assert (gathered.links, gathered.counts) == ((), {"filtered:host": 1})
