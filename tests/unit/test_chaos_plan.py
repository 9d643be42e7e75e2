"""The planned site: the same for the same seed, reachable as its pages say, and full of what a crawl must bear."""

from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.plan import LINKING, Kind, SitePlan
from crawl_dev.chaos.truth_server import Answers

PLAN = SitePlan(11, 600, port=8080)
POLITE = SitePlan(11, 600, port=8080, manners=Manners(delay_s=0.3, crawl_delay_s=0.5, retry_after_s=2))


class Hrefs(HTMLParser):
    def __init__(self):
        super().__init__()
        self.hrefs = []

    def handle_starttag(self, tag, attrs):
        self.hrefs += [value for name, value in attrs if (tag, name) == ("a", "href")]


def walk(plan):
    """Every URL that the served bytes lead to, and the links found; nothing of the plan's own arithmetic."""
    answers, found, waiting, links = Answers(plan), {}, list(plan.seeds), 0
    while waiting:
        url = waiting.pop()
        if url in found:
            continue
        status, field, body = answers.answer(urlsplit(url).path)
        if status == 500:
            status, field, body = answers.answer(urlsplit(url).path)
        found[url] = status
        reader = Hrefs()
        reader.feed(body.decode())
        hrefs = reader.hrefs or ([field.decode().split()[1]] if field.startswith(b"Location") else [])
        targets = {urldefrag(urljoin(url, href.replace("HTTP://H", "http://h")))[0] for href in hrefs}
        links += len(targets)
        waiting += [target for target in targets if urlsplit(target).hostname in plan.hosts]
    return found, links


def test_one_seed_gives_one_site_and_another_seed_another():
    assert SitePlan(11, 600, port=8080).pages == PLAN.pages
    assert SitePlan(12, 600).pages != PLAN.pages
    assert SitePlan(11, 600, port=9).pages == PLAN.pages


def test_what_the_bytes_lead_to_is_what_the_plan_calls_reachable():
    found, links = walk(PLAN)
    assert found.keys() == PLAN.reachable.keys()
    assert links == PLAN.discovered


def test_every_kind_of_page_is_reachable_and_the_islands_are_not():
    assert {page.kind for page in PLAN.reachable.values()} == set(Kind) - {Kind.DENIED}
    islands = {PLAN.url(page.number) for page in PLAN.pages[PLAN.size :]}
    assert islands
    assert not islands & PLAN.reachable.keys()


def hops(page):
    return 0 if page.target is None else 1 + hops(PLAN.pages[page.target])


def test_every_chain_of_redirects_ends():
    assert {hops(page) for page in PLAN.pages} >= {0, 1, 2}
    assert max(hops(page) for page in PLAN.pages) <= 4


def test_pages_repeat_links_and_write_them_in_several_ways():
    assert any(len(set(page.links)) < len(page.links) for page in PLAN.reachable.values() if page.kind in LINKING)
    body = b"".join(Answers(PLAN).answer(f"/p/{n}")[2] for n in range(100))
    assert all(way in body for way in (b'href="../p/', b"#top", b"#part", b"HTTP://H", b"mailto:", b"http://outside"))


def test_a_flaky_page_fails_once_and_a_dead_one_always():
    answers = Answers(PLAN)
    flaky, down = (next(p for p in PLAN.pages if p.kind is kind) for kind in (Kind.FLAKY, Kind.DOWN))
    assert [answers.answer(f"/p/{flaky.number}")[0] for _ in range(3)] == [500, 200, 200]
    assert [answers.answer(f"/p/{down.number}")[0] for _ in range(3)] == [503, 503, 503]


def test_a_flaky_page_fails_once_for_each_group():
    answers = Answers(PLAN)
    path = next(f"/p/{page.number}" for page in PLAN.pages if page.kind is Kind.FLAKY)
    assert [answers.answer(path, group=group)[0] for group in ("a", "b", "a", "b")] == [500, 500, 200, 200]


def test_a_site_with_manners_forbids_some_pages_by_the_robots_txt_of_their_host():
    denied = {url: page for url, page in POLITE.reachable.items() if page.kind is Kind.DENIED}
    assert denied
    assert {(page.fetches, page.outcome) for page in denied.values()} == {(0, "robots_denied")}
    for url, page in denied.items():
        host = urlsplit(url).netloc
        assert f"Disallow: /p/{page.number}$" in POLITE.robots[f"http://{host}/robots.txt"].splitlines()
    assert sum(text.count("Disallow") for text in POLITE.robots.values()) == sum(
        page.kind is Kind.DENIED for page in POLITE.pages
    )


def test_each_host_serves_its_own_robots_txt_and_the_first_asks_for_a_longer_delay():
    answers = Answers(POLITE)
    served = [answers.answer("/robots.txt", host=f"{host}:8080")[2].decode() for host in POLITE.hosts]
    assert served == list(POLITE.robots.values())
    assert ["Crawl-delay: 0.5" in text.splitlines() for text in served] == [True, False, False, False, False]
    assert Answers(PLAN).answer("/robots.txt", host="h0.test:8080")[0] == 404


def test_a_host_with_manners_says_for_how_long_it_wants_to_be_left_alone():
    down = next(page for page in POLITE.pages if page.kind is Kind.DOWN)
    assert b"Retry-After: 2\r\n" in Answers(POLITE).answer(f"/p/{down.number}")[1]
    down = next(page for page in PLAN.pages if page.kind is Kind.DOWN)
    assert b"Retry-After" not in Answers(PLAN).answer(f"/p/{down.number}")[1]
