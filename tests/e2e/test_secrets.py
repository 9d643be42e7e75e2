"""A crawl with secrets in all places where there are some, told in all detail: none of them is in what is told."""

import json

import pytest

from dictionary_site import dictionary_site
from e2e_kit import Commands

#: By where they stand; each is found in a text whatever stands around it.
SECRETS = {
    name: f"{name}-Hq7Zr4Xw"
    for name in (
        "broker", "redis", "message-key-0123456789-0123456789", "header", "basic", "seed-login", "rejected-login",
        "rejected-query", "link-login", "link-query", "dead-query", "redirect-query", "spider-query", "robots-query",
    )
}  # fmt: skip
SPIDER = """
from crawl_consumer.spider import Spider

class Careless(Spider):
    name = "careless"

    def parse(self, page):
        yield {"url": page.url, "title": page.title}
        if "spider" in page.url:
            raise ValueError(f"cannot parse {page.url}\\n2026-01-01 00:00:00 ERROR all is lost \\x1b[2J")
        yield page.follow_all()

    async def on_failure(self, failure):
        raise RuntimeError(f"and I cannot tell of {failure.url}, {failure.reason}")
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def site():
    secret = SECRETS
    links = [
        "http://somebody:{link-login}@HOST/login",
        "/query?page=2&access_token={link-query}",
        "/dead?sig={dead-query}",
        "/moved",
        "/spider?api_key={spider-query}",
    ]
    html = "".join(f'<a href="{link}">x</a>' for link in links)
    pages = {"/login": "x", "/moved": (302, {"Location": "/there?password={redirect-query}"}, "")}
    with dictionary_site(pages) as site:
        for name, value in secret.items():
            html = html.replace(f"{{{name}}}", value)
        site.pages["/"] = f"<title>\x1b]0;owned\x07</title>{html.replace('HOST', f'127.0.0.1:{site.port}')}"
        site.pages[f"/query?page=2&access_token={secret['link-query']}"] = "x"
        site.pages[f"/dead?sig={secret['dead-query']}"] = (503, {"X-Evil": "\x9b2J"}, "x")
        site.pages["/moved"] = (302, {"Location": f"/there?password={secret['redirect-query']}"}, "")
        site.pages[f"/there?password={secret['redirect-query']}"] = "x"
        site.pages[f"/spider?api_key={secret['spider-query']}"] = "x"
        site.pages["/robots.txt"] = (302, {"Location": f"/r?token={secret['robots-query']}"}, "")
        yield site


@pytest.fixture
def commands(environment, rabbit, fresh_vhost, redis_server, tmp_path, site):
    api = rabbit.nodes[0].management.call
    api("PUT", "users/keeper", {"password": SECRETS["broker"], "tags": "administrator"})
    api("PUT", f"permissions/{fresh_vhost}/keeper", {"configure": ".*", "write": ".*", "read": ".*"})
    redis_server.command(f"ACL SETUSER keeper reset on >{SECRETS['redis']} ~* +@all")
    (tmp_path / "careless.py").write_text(SPIDER)
    here = f"http://127.0.0.1:{site.port}"
    (tmp_path / "exchanges.yaml").write_text(
        f"""\
connection: {{opening_s: 1, connect_timeout_s: 1}}
exchanges: {{crawl.docs: {{type: direct}}}}
queues: {{docs.pages: {{crawl: docs, bindings: [{{exchange: crawl.docs, key: page}}]}}}}
crawls:
  docs:
    exchange: crawl.docs
    key: page
    spider: careless:Careless
    retry: {{max_attempts: 2, first_delay_s: 0.3}}
    hosts:
      {here}:
        headers_env: {{X-Api-Key: SITE_KEY}}
        basic_auth: {{username: crawler, password_env: SITE_PASSWORD}}
"""
    )
    login = {
        "CRAWL_RABBITMQ_USERNAME": "keeper",
        "CRAWL_RABBITMQ_PASSWORD": SECRETS["broker"],
        "CRAWL_REDIS_URL": redis_server.url.replace("//", f"//keeper:{SECRETS['redis']}@"),
        "CRAWL_MESSAGE_KEY": SECRETS["message-key-0123456789-0123456789"],
        "SITE_KEY": SECRETS["header"],
        "SITE_PASSWORD": SECRETS["basic"],
    }
    yield Commands(environment | login, tmp_path)
    redis_server.command("ACL DELUSER keeper")
    api("DELETE", "users/keeper")


def check(told):
    found = [name for name, secret in SECRETS.items() if secret in told]
    assert not found, f"{found} in {told}"
    evil = sorted({char for char in told if not char.isprintable() and char != "\n"})
    assert not evil, f"{evil!r} in {told!r}"


def test_no_secret_and_no_control_character_is_told(commands, site):
    def say(line):
        told = commands.shell(f"({line}) 2>&1 || true")
        check(told)
        return told

    seeds = [f"http://me:{SECRETS['seed-login']}@127.0.0.1:{site.port}/", "ftp://x:{rejected-login}@h/", "?token={}"]
    seeds[1] = f"ftp://somebody:{SECRETS['rejected-login']}@example.org/"
    seeds[2] = f"http://exa mple/?token={SECRETS['rejected-query']}&x=\x1b[2J"
    (commands.folder / "seeds.txt").write_text("\n".join(seeds) + "\n")

    say("crawl-topology apply --debug")
    told = say("crawl-seed --debug --file seeds.txt")
    assert "1 admitted" in told
    assert "2 rejected" in told
    say("crawl-seed --json --file seeds.txt")
    told = say("crawl-consumer --queue 'docs.*' --until-done --debug --output out/")
    assert "cannot parse http://127.0.0.1" in told
    assert "api_key=***" in told
    assert r"\x1b[2J" in told
    assert "\n2026-01-01 00:00:00 ERROR" not in told
    assert "on_failure" in told

    for line in (
        "crawl-status --debug", "crawl-status --json", "crawl-dead list --debug", "crawl-dead stats",
        "crawl-doctor --debug --deep", "crawl-doctor --json", "crawl-doctor docs --repair --debug",
    ):  # fmt: skip
        say(line)
    assert "sig=***" in say("crawl-dead list")
    assert "api_key=***" in say("crawl-dead list")

    # What a crawl is for is kept as it was found.
    urls = {record["url"] for record in commands.records()}
    assert f"{site.home}query?page=2&access_token={SECRETS['link-query']}" in urls
    assert not [url for url in urls if SECRETS["link-login"] in url]
    letters = [json.loads(line) for line in commands.shell("crawl-dead list --json").splitlines()]
    assert {SECRETS["dead-query"], SECRETS["spider-query"]} == {
        secret for secret in SECRETS.values() for letter in letters if secret in letter["url"]
    }
    check("".join(letter["reason"] for letter in letters))
    # Each host got what was meant for it, so that there was something to tell.
    assert site.headers["/login"]["X-Api-Key"] == SECRETS["header"]


def test_neither_is_one_told_when_nothing_works(commands):
    broker, redis = SECRETS["broker"], SECRETS["redis"]
    for command, variable, value in (
        ("crawl-topology plan", "CRAWL_RABBITMQ_USERNAME", "nobody"),
        ("crawl-topology plan", "CRAWL_RABBITMQ_NODES", "127.0.0.1:1"),
        ("crawl-topology plan", "CRAWL_RABBITMQ_NODES", f"amqp://keeper:{broker}@127.0.0.1:5672"),
        ("crawl-topology plan", "CRAWL_RABBITMQ_MANAGEMENT", f"http://keeper:{broker}@127.0.0.1:15672"),
        ("crawl-doctor --json", "CRAWL_RABBITMQ_USERNAME", "nobody"),
        ("crawl-doctor --json", "CRAWL_REDIS_URL", f"redis://keeper:{redis}@127.0.0.1:1/0"),
        ("crawl-status", "CRAWL_REDIS_URL", commands.environment["CRAWL_REDIS_URL"].replace("//keeper:", "//keeper:x")),
        ("crawl-status", "CRAWL_REDIS_URL", f"redis://keeper:{redis}/x@127.0.0.1:6379/0"),
        ("crawl-status", "CRAWL_REDIS_URL", f"redis://keeper:x/{redis}@127.0.0.1:6379/0"),
        ("crawl-status", "CRAWL_REDIS_URL", f"redis://127.0.0.1:{redis}/0"),
        ("crawl-status", "CRAWL_REDIS_URL", f"redis+sentinel://:{redis}@127.0.0.1:1/m/0?sentinel_password={redis}"),
        ("crawl-status", "CRAWL_REDIS_URL", f"http://keeper:{redis}@127.0.0.1/0"),
        ("crawl-status", "CRAWL_MESSAGE_KEY", "broker"),
    ):
        told = commands.shell(f"({command} --debug) 2>&1; [ $? != 1 ]", **{variable: value})
        check(told)
        assert "remedy" in told
