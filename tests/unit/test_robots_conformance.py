"""robots.txt files and what they mean: RFC 9309's own examples, and what the best known parser documents, as data."""

import pytest

from crawl_consumer.robots_file import PARSE_LIMIT_BYTES, Meaning, fresh_s, meaning, parse, product_token

SITE = "https://site.example"


def allowed(text, path, token="FooBot"):
    body = text if isinstance(text, bytes) else text.encode()
    return parse(body, token).allowed(SITE + path)


def decided(rules, path):
    """What a group for everybody with these rules says: a line of ``+/pattern -/pattern``."""
    fields = {"+": "allow", "-": "disallow"}
    lines = [f"{fields[rule[0]]}: {rule[1:]}" for rule in rules.split()]
    return allowed("\n".join(["user-agent: *", *lines]), path)


# RFC 9309, section 5.1: one file for several crawlers
SIMPLE = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot

"""


@pytest.mark.parametrize(
    ("token", "path", "may"),
    [
        ("otherbot", "/", True),
        ("otherbot", "/a.gif", False),
        ("otherbot", "/a.gif?x", True),
        ("otherbot", "/example/", False),
        ("otherbot", "/example/page.html", False),
        ("otherbot", "/publications/", True),
        ("otherbot", "/publications/a.gif", True),
        ("foobot", "/", False),
        ("foobot", "/publications/", False),
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("foobot", "/example/other.gif", False),
        ("barbot", "/example/page.html", False),
        ("barbot", "/example/", True),
        ("barbot", "/a.gif", True),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/example/other.html", True),
        ("quxbot", "/example/page.html", True),
        ("quxbot", "/a.gif", True),
    ],
)
def test_the_simple_example_of_the_standard(token, path, may):
    assert allowed(SIMPLE, path, token) is may


# RFC 9309, section 5.2: the longest match
@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/example/page/", True),
        ("/example/page/other.gif", True),
        ("/example/page/disallowed.gif", False),
        ("/example/", True),
    ],
)
def test_the_longest_match_example_of_the_standard(path, may):
    assert allowed("User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif", path) is may


# RFC 9309, section 2.2.1: groups
@pytest.mark.parametrize(
    ("text", "path", "may"),
    [
        # a crawler that is named twice obeys both groups
        ("user-agent: ExampleBot\ndisallow: /foo\ndisallow: /bar\n\nuser-agent: ExampleBot\ndisallow: /baz", "/bar", 0),
        ("user-agent: ExampleBot\ndisallow: /foo\ndisallow: /bar\n\nuser-agent: ExampleBot\ndisallow: /baz", "/baz", 0),
        # everybody's group is for those that are not named
        ("user-agent: *\ndisallow: /foo\nuser-agent: ExampleBot\ndisallow: /baz", "/foo", 1),
        ("user-agent: *\ndisallow: /foo\nuser-agent: other\ndisallow: /baz", "/foo", 0),
        ("user-agent: *\ndisallow: /foo\nuser-agent: *\ndisallow: /baz", "/baz", 0),
        # nobody's rules
        ("disallow: /\nuser-agent: other\ndisallow: /", "/foo", 1),
        ("disallow: /foo\nuser-agent: ExampleBot\ndisallow: /bar", "/foo", 1),
        ("", "/foo", 1),
        # names in any case
        ("USER-AGENT: EXAMPLEBOT\nDISALLOW: /foo", "/foo", 0),
        ("UsEr-AgEnT: examplebot\nDiSaLlOw: /foo", "/foo", 0),
        # paths in one case only
        ("user-agent: ExampleBot\ndisallow: /foo", "/FOO", 1),
        # what follows the name names nobody else; a part of the name, or a longer name, is another name
        ("user-agent: ExampleBot/1.2\ndisallow: /", "/foo", 0),
        ("user-agent: ExampleBot likes tea\ndisallow: /", "/foo", 0),
        ("user-agent: Example\ndisallow: /", "/foo", 1),
        ("user-agent: ExampleBot-News\ndisallow: /", "/foo", 1),
        ("user-agent: Mozilla/5.0 (compatible; ExampleBot)\ndisallow: /", "/foo", 1),
        ("user-agent: * likes tea\ndisallow: /", "/foo", 0),
        ("user-agent: *tea\ndisallow: /", "/foo", 1),
        # other records, blank lines and comments end no group; a rule does
        ("user-agent: ExampleBot\nsitemap: https://a.example/s\nuser-agent: b\ndisallow: /", "/foo", 0),
        ("user-agent: ExampleBot\ncrawl-delay: 5\n\nuser-agent: b\ndisallow: /", "/foo", 0),
        ("user-agent: ExampleBot\nunheard-of: 1\nuser-agent: b\ndisallow: /", "/foo", 0),
        ("user-agent: ExampleBot\n\n# tea\n\ndisallow: /", "/foo", 0),
        ("user-agent: ExampleBot\nallow: /x\nuser-agent: b\ndisallow: /", "/foo", 1),
        ("user-agent: ExampleBot\ndisallow:\nuser-agent: b\ndisallow: /", "/foo", 1),
        # an empty rule allows, whatever is said to everybody
        ("user-agent: ExampleBot\ndisallow:\nuser-agent: *\ndisallow: /", "/foo", 1),
        # the file itself is always allowed
        ("user-agent: *\ndisallow: /", "/robots.txt", 1),
    ],
)
def test_groups(text, path, may):
    assert allowed(text, path, "ExampleBot") is bool(may)


# RFC 9309, section 2.2.2: octets
@pytest.mark.parametrize(
    ("pattern", "path", "match"),
    [
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar", True),
        ("/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", True),
        ("/foo/bar?baz=https%3a//foo.bar", "/foo/bar?baz=https://foo.bar", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/foo/bar/baz", "/foo/bar/%62%61%7A", True),
        ("/foo%2Fbar", "/foo/bar", False),
        ("/foo/bar", "/foo%2Fbar", False),
        ("/foo%2fbar", "/foo%2Fbar", True),
        ("/~user", "/%7Euser", True),
        ("/caf%E9", "/caf%E9", True),
        ("/caf%E9", "/caf%E8", False),
        ("/100%", "/100%", True),
        ("/a&b=c;d,e", "/a&b=c;d,e", True),
        ("//a", "//a/b", True),
        ("//a", "/a/b", False),
    ],
)
def test_octets(pattern, path, match):
    assert allowed(f"user-agent: *\ndisallow: {pattern}", path) is not match


def test_a_path_that_is_not_utf_8_compares_by_its_octets():
    assert not allowed(b"user-agent: *\ndisallow: /caf\xe9", "/caf%E9")
    assert allowed(b"user-agent: *\ndisallow: /caf\xe9", "/caf%C3%A9")


# RFC 9309, section 2.2.3: special characters; the cases of the tables in
# https://developers.google.com/search/docs/crawling-indexing/robots/robots_txt
@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("/", ["/", "/anything", "/?x"], []),
        ("/*", ["/", "/anything"], []),
        ("/$", ["/"], ["/anything", "/?x"]),
        (
            "/fish",
            ["/fish", "/fish.html", "/fish/salmon.html", "/fishheads/yummy.html", "/fish.php?id=anything"],
            ["/Fish.asp", "/catfish", "/?id=fish", "/desert/fish"],
        ),
        ("/fish*", ["/fish", "/fishheads", "/fish.php?id=anything"], ["/Fish.asp", "/catfish", "/desert/fish"]),
        ("/fish/", ["/fish/", "/fish/?id=anything", "/fish/salmon.htm"], ["/fish", "/fish.html", "/Fish/Salmon.asp"]),
        (
            "/*.php",
            ["/index.php", "/filename.php", "/folder/filename.php?parameters", "/filename.php/"],
            ["/", "/windows.PHP"],
        ),
        ("/*.php$", ["/filename.php", "/a/filename.php"], ["/filename.php?x", "/filename.php/", "/filename.php5"]),
        ("/fish*.php", ["/fish.php", "/fishheads/catfish.php?parameters"], ["/Fish.PHP"]),
        ("*.gif$", ["/a.gif", "/b/a.gif"], ["/a.gif?x"]),
        ("/this/path/exactly$", ["/this/path/exactly"], ["/this/path/exactly/", "/this/path/exactly?"]),
        ("/this/*/exactly", ["/this/path/exactly", "/this/a/b/exactly?x"], ["/this/exactly"]),
        ("/path/with-a-%2A.html", ["/path/with-a-*.html", "/path/with-a-%2A.html"], ["/path/file-with-a"]),
        ("/path/foo-%24", ["/path/foo-$", "/path/foo-%24b"], ["/path/foo-"]),
        ("/a$b", ["/a$b", "/a$bc"], ["/a", "/ab"]),
        ("/a$", ["/a"], ["/a$", "/a$b"]),
        ("/a***b", ["/ab", "/axb"], ["/a"]),
        ("fish", [], ["/fish", "/", "/a/fish"]),
        ("https://site.example/fish", [], ["/fish", "/"]),
        ("/fish # of the day", ["/fish"], ["/"]),
    ],
)  # fmt: skip
def test_patterns(pattern, matches, others):
    file = f"user-agent: *\ndisallow: {pattern}"
    assert [path for path in matches if allowed(file, path)] == []
    assert [path for path in others if not allowed(file, path)] == []


@pytest.mark.parametrize(
    ("rules", "path", "may"),
    [
        ("+/p -/", "/page", True),
        ("+/folder -/folder", "/folder/page", True),
        ("-/folder +/folder", "/folder/page", True),
        ("+/page -/*.htm", "/page.htm", False),
        ("+/page -/*.ph", "/page.php5", True),
        ("+/$ -/", "/", True),
        ("+/$ -/", "/page.htm", False),
        ("-/x/page.html +/x/", "/x/page.html", False),
        ("+/x/page.html -/x/", "/x/page.html", True),
        ("-/ +/x/index.html", "/x/", True),
        ("-/ +/x/index.html", "/x/y", False),
        ("+/a$ -/", "/a$b", False),
        ("-/a +/a/b -/a/b/c +/a/b/c/d", "/a/b/c/e", False),
        ("-/a +/a/b -/a/b/c +/a/b/c/d", "/a/b/c/d", True),
    ],
)
def test_the_most_specific_rule_decides_and_allow_wins_a_tie(rules, path, may):
    assert decided(rules, path) is may


@pytest.mark.parametrize(
    "text",
    [
        "user-agent: FooBot\r\ndisallow: /\r\n",
        "user-agent: FooBot\rdisallow: /\r",
        "user-agent: FooBot\n\n\ndisallow: /",
        "\ufeffuser-agent: FooBot\ndisallow: /",
        "  user-agent :  FooBot \t\n\tdisallow\t: / ",
        "user-agent: FooBot # that is you\ndisallow: / # all of it",
        "useragent: FooBot\ndisallow: /",
        "user agent: FooBot\ndisallow: /",
        "user-agent FooBot\ndisallow /",
        "user-agent: FooBot\ndisalow: /",
        "user-agent: FooBot\ndissallow: /",
        "user-agent: FooBot\ndisallaw: /",
        "<!doctype html>\nwhat: ever\n:\n::\n\0\nuser-agent: FooBot\ndisallow: /",
        b"\xff\xfe\xfd\nuser-agent: FooBot\ndisallow: /",
    ],
)
def test_lines_that_are_read(text):
    assert not allowed(text, "/x")


@pytest.mark.parametrize(
    "text",
    [
        "user-agent: FooBot disallow: /",
        "user-agent: FooBot\ndisallow everything: /",
        "user-agent: FooBot\n#disallow: /",
        "foo: FooBot\ndisallow: /",
        "user-agent: FooBot\nallow: /\u2028disallow: /",
        "<html><body>user-agent: FooBot<br>disallow: /</body></html>",
    ],
)
def test_lines_that_are_passed_over(text):
    assert allowed(text, "/x")


def test_nothing_is_read_behind_the_limit_and_no_line_that_it_cuts():
    head = b"user-agent: *\ndisallow: /early\n"
    filler = b"#" * 99 + b"\n"
    text = head + filler * (PARSE_LIMIT_BYTES // 100)
    text = text[: PARSE_LIMIT_BYTES - 20] + b"\ndisallow: /private/late/and/cut\ndisallow: /behind\n"
    assert not allowed(text, "/early")
    assert allowed(text, "/private/late")
    assert allowed(text, "/behind")
    assert allowed(b"#" * PARSE_LIMIT_BYTES + head, "/early")
    assert not allowed(text[: PARSE_LIMIT_BYTES - 20] + b"\n", "/early")


def test_crawl_delay_is_of_the_group_and_the_longest_counts():
    text = "user-agent: *\ncrawl-delay: 3\nuser-agent: FooBot\nallow: /\ncrawl-delay: 7.5\ncrawl-delay: 2"
    assert parse(text.encode(), "FooBot").crawl_delay_s == 7.5
    assert parse(b"user-agent: *\ncrawl-delay: 3\nallow: /", "FooBot").crawl_delay_s == 3
    for wrong in ("-1", "nan", "inf", "1e999", "soon", ""):
        assert parse(f"user-agent: *\ncrawl-delay: {wrong}".encode(), "FooBot").crawl_delay_s == 0


def test_sitemaps_are_remembered_wherever_they_stand():
    text = "sitemap: https://a.example/s.xml\nuser-agent: other\nSiteMap : HTTP://b.example/ü\nsitemap: /relative\n"
    assert parse(text.encode() * 2, "FooBot").sitemaps == ("https://a.example/s.xml", "http://b.example/%C3%BC")


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [("CrawlMQ/1.0 (+https://x.example)", "CrawlMQ"), ("my_own-bot 2", "my_own-bot"), ("7bot", ""), ("", "")],
)
def test_the_name_in_files_is_the_beginning_of_the_user_agent(user_agent, token):
    assert product_token(user_agent) == token


def test_without_a_name_only_everybodys_group_holds():
    assert not allowed("user-agent: 7bot\nallow: /\nuser-agent: *\ndisallow: /", "/", token="")


@pytest.mark.parametrize(
    ("statuses", "means"),
    [
        ((200, 204, 299), Meaning.RULES),
        ((300, 304, 400, 401, 403, 404, 410, 451, 499), Meaning.NO_FILE),
        ((429, 500, 502, 503, 504, 599, 999), Meaning.NOT_NOW),
    ],
)
def test_what_a_status_means(statuses, means):
    assert {meaning(status) for status in statuses} == {means}


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 86400),
        ("public", 86400),
        ("max-age=3600", 3600),
        ('public, MAX-AGE="3600"', 3600),
        ("max-age=1", 300),
        ("max-age=0, must-revalidate", 300),
        ("no-cache", 300),
        ("max-age=3600, no-store", 300),
        ("max-age=99999999999999", 86400),
        ("s-maxage=60", 86400),
        ("max-age=soon", 86400),
    ],
)
def test_an_answer_is_believed_as_long_as_it_says_within_bounds(cache_control, seconds):
    assert fresh_s({"cache-control": cache_control}) == seconds
