"""No page, name or redirect leads a crawl to an address that is not public: canaries that listen there see nobody.

Each way to lead a crawl somewhere is tried with each spelling of each address; and with a few of them when the crawl
may go there, which shows that the canaries would have seen it.
"""

import asyncio
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network

import pytest

from canaries import SEEN, SITE, SPELLINGS, field
from crawl_consumer import fetch, worker
from crawl_consumer.fetch import Fetcher, FetchLimits
from crawl_consumer.response import FailureKind, Response
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider
from crawl_consumer.workbench.rules import CRAWL, Rules, default_topology
from crawl_consumer.workbench.trial import Trial
from crawl_dedup import canonicalize, host
from crawl_producer.guard import Guard
from crawl_producer.seeds import Rejected, Seed
from crawl_producer.sources.walk import Walk
from crawl_producer.sources.web import SourceWeb
from crawl_producer.topology import ScopeSpec, Topology

#: What the crawls may go to: the site; and in the positive control, the canaries too.
ONLY_THE_SITE = [SITE]
CANARIES_TOO = ["127.0.0.0/8"]


class Follower(Spider):
    """Follows whatever a page names: links, its canonical URL, and where it refreshes itself to."""

    name = "follower"

    def parse(self, page):
        yield page.follow_all()
        for link in page.css("link[rel=canonical]"):
            yield page.follow(link)
        for content in page.css("meta[http-equiv=refresh]::attr(content)").getall():
            yield page.follow(content.partition("url=")[2])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(worker, "COMPLETION_POLL_S", 0.01)
    monkeypatch.setattr(fetch, "DNS_CACHE_S", 0)


def address_of(spelling):
    """The address that a spelling stands for, as DNS would say it."""
    name = host(canonicalize(f"http://{spelling}/"))
    return "127.0.0.1" if "localhost" in name else name.strip("[]")


def mapped(address):
    """As an AAAA record may hold it."""
    return address if ":" in address else f"::ffff:{address}"


# Each way: what makes it ready on the field, given the spellings, and answers with the crawl's seeds.


def direct(ours, spellings):
    return [ours.url(spelling, f"/direct/{n}") for n, spelling in enumerate(spellings)]


def redirect(ours, spellings):
    for n, spelling in enumerate(spellings):
        ours.pages[f"/to/{n}"] = (302, {"Location": ours.url(quoted(spelling), f"/redirect/{n}")}, "")
    return [ours.url("site.test", f"/to/{n}") for n in range(len(spellings))]


def links(ours, spellings):
    hrefs = [f'<a href="{ours.url(spelling, f"/links/{n}")}">x</a>' for n, spelling in enumerate(spellings)]
    ours.pages["/page"] = (200, {}, "".join(hrefs))
    return [ours.url("site.test", "/page")]


def canonical(ours, spellings):
    return pages(ours, spellings, '<link rel=canonical href="{}">', "canonical")


def refresh(ours, spellings):
    return pages(ours, spellings, '<meta http-equiv=refresh content="0; url={}">', "refresh")


def pages(ours, spellings, markup, way):
    for n, spelling in enumerate(spellings):
        ours.pages[f"/page/{n}"] = (200, {}, markup.format(ours.url(spelling, f"/{way}/{n}")))
    return [ours.url("site.test", f"/page/{n}") for n in range(len(spellings))]


def dns(ours, spellings):
    return named(ours, spellings, "dns", lambda address: [address])


def aaaa_mapped(ours, spellings):
    return named(ours, spellings, "mapped", lambda address: [mapped(address)])


def several_answers(ours, spellings):
    return named(ours, spellings, "several", lambda address: [address, mapped(address), address])


def named(ours, spellings, way, answer):
    for n, spelling in enumerate(spellings):
        ours.names.answers[f"{way}{n}.test"] = answer(address_of(spelling))
    return [ours.url(f"{way}{n}.test", f"/{way}/{n}") for n in range(len(spellings))]


def rebinding(ours, spellings):
    """Public when the name is first asked for, and for the page; not for the link of the page."""
    for n, spelling in enumerate(spellings):
        ours.names.answers[f"rebinding{n}.test"] = [[SITE], [address_of(spelling)]]
        ours.pages[f"/first/{n}"] = (200, {}, f'<a href="/rebinding/{n}">x</a>')
    return [ours.url(f"rebinding{n}.test", f"/first/{n}") for n in range(len(spellings))]


def robots_redirect(ours, spellings):
    for n, spelling in enumerate(spellings):
        ours.names.answers[f"robots{n}.test"] = [SITE]
        location = {"Location": ours.url(quoted(spelling), f"/robots/{n}")}
        ours.pages[f"//robots{n}.test/robots.txt"] = (302, location, "")
    return [ours.url(f"robots{n}.test", f"/page/{n}") for n in range(len(spellings))]


def robots(ours, spellings):
    return named(ours, spellings, "obeyed", lambda address: [address])


def quoted(spelling):
    """A Location is ASCII; a browser takes the bytes of UTF-8, percent-encoded, for a host as well."""
    return "".join(one if one.isascii() else "".join(f"%{octet:02X}" for octet in one.encode()) for one in spelling)


#: Each way, and whether robots.txt is asked for.
WAYS = {way: way in {robots_redirect, robots} for way in (
    direct, redirect, links, canonical, refresh, dns, aaaa_mapped, several_answers, rebinding, robots_redirect, robots
)}  # fmt: skip


def topology(allow, *, obey=False, **more):
    raw = default_topology().model_dump(mode="json", exclude={"connection", "redis"})
    raw["crawls"][CRAWL] |= {
        "politeness": {"delay_s": 0}, "robots": {"obey": obey}, "scope": {"any_host": True}, "allow_networks": allow,
    }  # fmt: skip
    return Topology.model_validate(raw | more)


@asynccontextmanager
async def unseen(_read):
    yield


async def crawled(urls, by):
    """The outcomes of a crawl that begins there."""
    trial = Trial(Rules(CRAWL, by), max_pages=0)
    settings = ConsumerSettings(trial.queues, until_done=True)
    spiders = dict.fromkeys(trial.queues, Follower())
    seeds = [canonicalize(url) for url in urls]
    ended = await trial.run(seeds, settings, spiders, patience_s=60, show=unseen)
    [(_, book)] = ended.books
    assert (ended.waits, ended.dead) == (None, ())
    return book.outcomes


def met(way, spellings, allow):
    """What a crawl of a way came to, and the field that it left behind."""

    async def story():
        async with field() as ours:
            seeds = way(ours, spellings)
            return await crawled(seeds, topology(allow, obey=WAYS[way])), ours

    return asyncio.run(story())


def test_there_are_enough_spellings_and_ways():
    assert len(set(SPELLINGS)) == len(SPELLINGS) >= 90
    assert len({address_of(spelling) for spelling in SPELLINGS}) >= 45
    assert len(WAYS) >= 9


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_leads_to_an_address_that_is_not_public(way):
    outcomes, ours = met(way, SPELLINGS, ONLY_THE_SITE)
    assert (ours.touched, ours.seen) == (0, [])
    assert set(ours.connected) <= {SITE}
    assert outcomes["blocked"] == len(SPELLINGS)
    assert set(outcomes) <= {"blocked", "redirect", "ok"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_leads_there_once_it_is_allowed(way):
    outcomes, ours = met(way, SEEN, CANARIES_TOO)
    assert ours.touched >= len(SEEN)
    assert "blocked" not in outcomes


def test_a_page_of_a_site_whose_robots_txt_is_blocked_is_not_fetched():
    _, ours = met(robots_redirect, SPELLINGS, ONLY_THE_SITE)
    assert {path for _, path in ours.asked} == {"/robots.txt"}


def walked(spellings, allow):
    """What a sitemap's reader makes of lists and pages at such places, and the field."""

    async def story():
        async with field() as ours:
            lists = [f"Sitemap: {ours.url(quoted(spelling), f'/sitemap/{n}')}" for n, spelling in enumerate(spellings)]
            moved = [f"Sitemap: {ours.url('site.test', f'/moved/{n}')}" for n in range(len(spellings))]
            for n, spelling in enumerate(spellings):
                ours.pages[f"/moved/{n}"] = (301, {"Location": ours.url(quoted(spelling), f"/moved-here/{n}")}, "")
            ours.pages["/robots.txt"] = (200, {"Content-Type": "text/plain"}, "\n".join([*lists, *moved]))
            guard = Guard(map(ip_network, allow))
            async with SourceWeb(user_agent="T", delay_s=0, guard=guard) as web:
                walk = Walk([ours.url("site.test", "/robots.txt")], web, ScopeSpec())
                return [one async for batch in walk.batches() for one in batch], ours

    return asyncio.run(story())


def test_no_sitemap_is_fetched_from_an_address_that_is_not_public():
    found, ours = walked(SPELLINGS, ONLY_THE_SITE)
    assert (ours.touched, ours.seen) == (0, [])
    assert set(ours.connected) == {SITE}
    assert {type(one) for one in found} == {Rejected}
    assert [one.reason for one in found] == ["blocked"] * 2 * len(SPELLINGS)


def test_a_sitemap_is_fetched_from_there_once_it_is_allowed():
    found, ours = walked(SEEN, CANARIES_TOO)
    assert ours.touched == 2 * len(SEEN)
    assert not [one for one in found if isinstance(one, Seed) or one.reason == "blocked"]


def fetched(allow, *urls, answers=(), own=()):
    """What a fetcher makes of URLs, and the field; ``answers`` are those of DNS."""

    async def story():
        async with field() as ours:
            ours.names.answers |= dict(answers)
            ends = [(ip_address(address), ours.port) for address in own]
            guard = Guard(map(ip_network, allow), ends)
            async with Fetcher(FetchLimits(), user_agent="T", connections=4, guard=guard) as fetcher:
                return [await fetcher.fetch(url.replace("PORT", str(ours.port))) for url in urls], ours

    return asyncio.run(story())


@pytest.mark.parametrize(
    "spelling",
    ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "127.0.0.1.1", "1.2.3.4.5", "localhost", "[::1]"],
)
def test_a_url_that_nobody_has_made_canonical_leads_nowhere_either(spelling):
    [result], ours = fetched(ONLY_THE_SITE, f"http://{spelling}:PORT/")
    assert result.kind in {FailureKind.BLOCKED, FailureKind.PROTOCOL, FailureKind.DNS}
    assert (ours.touched, ours.connected) == (0, [])


def test_the_reason_is_told_with_what_would_allow_it():
    [result], _ = fetched(ONLY_THE_SITE, "http://both.test:PORT/", answers={"both.test": ["127.0.0.1", "::1"]})
    assert (result.kind, result.detail) == (
        FailureKind.BLOCKED,
        "127.0.0.1 is not a public address; allow_networks: [127.0.0.0/8] in exchanges.yaml lets the crawl go there",
    )


@pytest.mark.parametrize("answer", [["127.0.0.1", SITE], [SITE, "127.0.0.1"], ["::1", SITE, "127.0.0.1", "10.0.0.1"]])
def test_of_a_host_with_several_addresses_only_the_public_ones_are_connected_to(answer):
    urls = [f"http://both.test:PORT/{n}" for n in range(6)]  # aiohttp begins with another address each time
    results, ours = fetched(ONLY_THE_SITE, *urls, answers={"both.test": answer})
    assert all(isinstance(result, Response) for result in results)
    assert (ours.touched, set(ours.connected)) == (0, {SITE})


@pytest.mark.parametrize("answer", [["127.0.0.1", "127.7.7.8"], ["127.7.7.8", "127.0.0.1"]])
def test_a_host_whose_public_address_is_down_is_tried_again_and_not_blocked(answer):
    [result], ours = fetched(["127.7.7.8"], "http://both.test:PORT/", answers={"both.test": answer})
    assert result.kind is FailureKind.CONNECT
    assert (ours.touched, set(ours.connected)) == (0, {"127.7.7.8"})


def test_our_own_servers_are_not_connected_to_even_where_their_network_is_allowed():
    urls = [f"http://{name}:PORT/" for name in ("127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.1]", "0.0.0.0", "me.test")]
    answers = {"me.test": ["127.255.255.254"]}
    results, ours = fetched(["0.0.0.0/0", "::/0"], *urls, answers=answers, own=["127.0.0.1"])
    assert {result.kind for result in results} == {FailureKind.BLOCKED}
    assert {result.detail.partition(" is ")[2] for result in results} == {"RabbitMQ or Redis, which no crawl asks"}
    assert (ours.touched, ours.connected) == (0, [])


@pytest.mark.parametrize(
    "servers",
    [
        lambda end: {"connection": {"nodes": ["127.0.0.2:1", end]}},
        lambda end: {"connection": {"management": f"http://{end}"}},
        lambda end: {"redis": {"url": f"redis://:secret@{end}/0"}},
        lambda end: {"redis": {"url": f"redis+sentinel://127.0.0.2:1,{end}/main"}},
    ],
    ids=["a node of RabbitMQ", "its management API", "Redis", "a Sentinel"],
)
def test_the_servers_of_the_topology_are_our_own(servers):
    async def story():
        async with field() as ours:
            ours.names.answers["broker.test"] = ["127.0.0.1"]
            by = topology(CANARIES_TOO, **servers(f"broker.test:{ours.port}"))
            outcomes = await crawled([ours.url("127.0.0.1", "/"), ours.url("127.0.0.2", "/")], by)
            return outcomes, ours.seen

    assert asyncio.run(story()) == ({"blocked": 2}, [])


def test_a_port_of_another_protocol_is_not_connected_to_even_where_its_network_is_allowed():
    [result], ours = fetched(["127.0.0.0/8"], f"http://{SITE}:6667/")
    assert (result.kind, ours.connected) == (FailureKind.BLOCKED, [])
