"""Sitemaps and feeds as they are found: right, nearly right, and hostile."""

import gzip
import io
import socket
import time
import tracemalloc

import pytest

from crawl_producer.sources import listing
from crawl_producer.sources.found import Damaged, Found, NotAListing
from crawl_producer.sources.mend import mended
from crawl_producer.sources.unpack import CHUNK_BYTES, unpacked

AT = "https://e.org/sitemap.xml"
NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def read(content, url=AT, **options):
    """The entries, and at the end the reason for which it broke off."""
    body = content.encode() if isinstance(content, str) else content
    entries = []
    try:
        entries.extend(listing.read(unpacked(io.BytesIO(body)), url, **options))
    except NotAListing as error:
        # extend() keeps what it had before the error.
        entries.append(str(error))
    return entries


def urls(content, url=AT):
    return [entry.url for entry in read(content, url)]


def urlset(*locs, more=""):
    return "<urlset>" + "".join(f"<url><loc>{loc}</loc>{more}</url>" for loc in locs) + "</urlset>"


def test_a_sitemap_by_the_book():
    content = f"""<?xml version="1.0" encoding="UTF-8"?>
    <urlset {NAMESPACE} xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
      <url><loc> https://e.org/a?x=1&amp;y=2 </loc><lastmod>2026-01-01</lastmod><priority>0.8</priority>
        <image:image><image:loc>https://e.org/a.png</image:loc></image:image></url>
      <url><loc>https://e.org/b</loc></url>
    </urlset>"""
    day_after_ms = 1767312000_000
    assert read(content) == [Found("https://e.org/a?x=1&y=2", AT, False, day_after_ms), Found("https://e.org/b", AT)]


def test_an_index_names_lists_and_their_dates():
    content = "<sitemapindex><sitemap><loc>/1.xml</loc><lastmod>2026-01</lastmod></sitemap></sitemapindex>"
    assert read(content) == [Found("/1.xml", AT, True, 1769904000_000)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (urlset("https://e.org/?a=1&b=2&copy=3&#38;d"), ["https://e.org/?a=1&b=2&copy=3&d"]),
        (urlset("<![CDATA[https://e.org/?a&b]]>"), ["https://e.org/?a&b"]),
        ("<urlset><url><n:loc>https://e.org/a</n:loc><i:x>1</i:x></url></urlset>", ["https://e.org/a"]),
        (f"\n\n<?xml version='1.0'?>{urlset('https://e.org/a')}", ["https://e.org/a"]),
        (b"\xef\xbb\xbf" + urlset("https://e.org/a").encode(), ["https://e.org/a"]),
        (f"<?xml version='1.0' encoding='utf-16'?>{urlset('https://e.org/é&x')}".encode("utf-16"), ["https://e.org/é&x"]),
        (f"<?xml version='1.0' encoding='iso-8859-1'?>{urlset('https://e.org/é')}".encode("latin-1"), ["https://e.org/é"]),
        (f"<!-- a & b -->{urlset('https://e.org/a')}", ["https://e.org/a"]),
        (urlset(), []),
        ("", []),
    ],
    ids=["ampersands", "cdata", "prefixes", "white space", "bom", "utf-16", "latin-1", "comment", "no urls", "nothing"],
)  # fmt: skip
def test_what_is_nearly_xml_is_read_as_it_was_meant(content, found):
    assert urls(content) == found


@pytest.mark.parametrize("size", range(1, 40))
def test_mending_does_not_depend_on_where_chunks_end(size):
    text = b"<a>&amp;&#38;&#x26;& &b;<![CDATA[&<]>]]>&<![CDATA[]]>&amp</a>"
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    expected = b"<a>&amp;&#38;&#x26;&amp; &amp;b;<![CDATA[&<]>]]>&amp;<![CDATA[]]>&amp;amp</a>"
    assert b"".join(mended(chunks)) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<!DOCTYPE html><html><head></head></html>", "html"),
        ("<html><body>404</body></html>", "html"),
        ("\n<!doctype html><title>404", "html"),
        ("<?xml version='1.0'?><HTML/>", "html"),
        ("<!-- nothing -->", "not_a_sitemap"),
        ("<", "not_a_sitemap"),
        ("<error>no</error>", "not_a_sitemap"),
        ('{"error": 404}', "not_a_feed"),
        ('{"items": ', "not_a_feed"),
        ("[" * 100_000, None),
        ("{" + '"items":' + "[" * 100_000, "not_a_feed"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><urlset/>', "doctype"),
        (b"<!DOCTYPE\xc4x [<!ENTITY a 'b'>]>", "doctype"),
        (b"\x1f\x8bnonsense", "damaged_gzip"),
    ],
)
def test_what_is_no_list_is_said_in_a_word(content, reason):
    entries = read(content)
    assert entries == [reason] or (reason is None and [type(entry) for entry in entries] == [Found])


def test_an_entity_bomb_is_refused_before_it_is_looked_at():
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(b)} "{f"&{chr(b - 1)};" * 10}">' for b in range(ord("b"), ord("k"))
    )
    assert read(bomb + "]>" + urlset("&j;")) == ["doctype"]


def test_a_quadratic_blowup_is_refused_before_it_is_looked_at():
    blowup = f'<!DOCTYPE b [<!ENTITY a "{"a" * 50_000}">]>' + urlset("&a;" * 50_000)
    assert read(blowup) == ["doctype"]


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE urlset SYSTEM "{canary}">',
        '<!DOCTYPE urlset PUBLIC "-//x//" "{canary}">',
        '<!DOCTYPE urlset [<!ENTITY e SYSTEM "{canary}">]>',
        '<!DOCTYPE urlset [<!ENTITY % e SYSTEM "{canary}"> %e;]>',
        '<!DOCTYPE urlset [<!ENTITY e SYSTEM "file:///etc/hostname">]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_nothing_that_a_document_names_is_fetched(declaration, encoding):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        named = declaration.format(canary=f"http://127.0.0.1:{canary.getsockname()[1]}/x")
        found = read((named + urlset("https://e.org/&e;")).encode(encoding))
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert found in (["doctype"], ["not_a_sitemap"])


@pytest.mark.parametrize(
    "content",
    [
        '<urlset><!DOCTYPE b [<!ENTITY e "x">]><url><loc>https://e.org/&e;</loc></url></urlset>',
        '<urlset/><!DOCTYPE b [<!ENTITY e "x">]><urlset><url><loc>https://e.org/&e;</loc></url></urlset>',
        '<?xml version="1.0"?><!-- --><!DOCTYPE b [<!ENTITY e "x">]>' + urlset("https://e.org/&e;"),
        '<![CDATA[<!DOCTYPE b [<!ENTITY e "x">]>]]>' + urlset("https://e.org/&e;"),
    ],
)
def test_no_entity_is_expanded_wherever_it_is_declared(content):
    assert not any(isinstance(entry, Found) and entry.url.endswith("/x") for entry in read(content))


@pytest.mark.parametrize(
    "piece", ['a{}="" ', 'xmlns:a{}="b" ', 'p:a{}="" ', "><a{}", "/><a{}", "><![CDATA[{}", "><!--{}", "><?a{}", "&a{};"]
)
def test_xml_takes_time_in_proportion_to_its_size(piece):
    def cpu_s(pieces):
        content = "<urlset xmlns:p='p' " + "".join(map(piece.format, range(pieces)))
        began_s = time.process_time()
        read(content)
        return time.process_time() - began_s

    cpu_s(100)
    few_s = max(cpu_s(10_000) for _ in range(3))
    assert min(cpu_s(80_000) for _ in range(2)) < 24 * few_s  # eight times as long, or sixty-four


def test_entities_that_nobody_declared_stay_text():
    assert urls(urlset("https://e.org/?a&xxe;b")) == ["https://e.org/?a&xxe;b"]


def test_one_bad_entry_costs_no_other():
    content = urlset("https://e.org/a", "", "https://e.org/b").replace("</urlset>", "<url/></urlset>")
    assert read(content) == [
        Found("https://e.org/a", AT),
        Damaged("<url>", "no_address"),
        Found("https://e.org/b", AT),
        Damaged("<url>", "no_address"),
    ]


def test_bytes_that_are_no_characters_damage_their_entry():
    content = urlset("https://e.org/a").encode() + b""
    content = content.replace(b"/a<", b"/\xff\xfe<").replace(
        b"</urlset>", b"<url><loc>https://e.org/b</loc></url></urlset>"
    )
    damaged, good = read(content)
    assert isinstance(damaged, Damaged)
    assert good == Found("https://e.org/b", AT)


def test_of_a_document_that_breaks_off_the_beginning_counts():
    assert read("<urlset><url><loc>https://e.org/a</loc></url><url><lo") == [
        Found("https://e.org/a", AT),
        Damaged("the document has no end", "cut_short"),
    ]


@pytest.mark.parametrize("encoding", ["nonsense", "utf-32", "ebcdic-cp-us", "utf-7"])
def test_an_encoding_that_is_none_or_not_the_one_is_no_disaster(encoding):
    entries = read(f"<?xml version='1.0' encoding='{encoding}'?>{urlset('https://e.org/a')}")
    assert entries in (["not_a_sitemap"], [Found("https://e.org/a", AT)])


def test_elements_in_elements_without_end_do_no_harm():
    entries = read("<urlset>" + "<url>" * 100_000)
    assert entries[-1] == Damaged("the document has no end", "cut_short")


def test_plain_text_has_a_url_a_line_whatever_ends_the_lines():
    assert read("https://e.org/a\r\nhttps://e.org/b\r\n\r\n  https://e.org/c") == [
        Found("https://e.org/a"), Found("https://e.org/b"), Found("https://e.org/c"),
    ]  # fmt: skip


def test_robots_txt_names_sitemaps_in_any_place_and_case():
    content = "User-agent: *\nDisallow: /\nSitemap: https://e.org/1.xml # first\nSITEMAP:/2.xml\n sitemap :\nAllow: /x"
    at = "https://e.org/robots.txt"
    assert read(content, at) == [Found("https://e.org/1.xml", at, True), Found("/2.xml", at, True)]


def test_of_robots_txt_no_more_is_read_than_of_any_other():
    content = "Sitemap: /1.xml\n" + "#" * listing.MAX_ROBOTS_BYTES + "\nSitemap: /2.xml"
    assert urls(content, "https://e.org/robots.txt") == ["/1.xml"]


def test_rss_2():
    content = """<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>https://e.org/</link>
      <atom:link href="https://e.org/rss" rel="self"/>
      <item><title>&nbsp;A</title><link>https://e.org/a</link><pubDate>Tue, 10 Jun 2003 04:00:00 +0200</pubDate></item>
      <item><link/><guid>https://e.org/b</guid></item>
      <item><guid isPermaLink="false">77</guid><atom:link href="/c"/></item>
      <item><guid isPermaLink="false">78</guid></item></channel></rss>"""
    assert read(content) == [
        Found("https://e.org/a", AT, modified_ms=1055210400_000),
        Found("https://e.org/b", AT),
        Found("/c", AT),
        Damaged("<item>", "no_address"),
    ]


def test_rss_1_has_its_items_beside_the_channel():
    content = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
      <channel rdf:about="https://e.org/"><link>https://e.org/</link></channel>
      <item rdf:about="https://e.org/a"><title>A</title><dc:date>2003-06-10T04:00Z</dc:date></item></rdf:RDF>"""
    assert read(content) == [Found("https://e.org/a", AT, modified_ms=1055217600_000)]


def test_atom_has_alternates_and_bases():
    content = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://o.org/b/"><link href="/"/>
      <entry><link rel="enclosure" href="a.mp3"/><link href="a"/><link href="other"/>
        <source><link href="no"/></source><updated>2003-12-13T18:30:02.25Z</updated></entry>
      <entry xml:base="c/"><link rel="alternate" href="d"/></entry>
      <entry><link rel="self" href="e"/></entry></feed>"""
    assert read(content) == [
        Found("a", "https://o.org/b/", modified_ms=1071340202_250),
        Found("d", "https://o.org/b/c/"),
        Damaged("<entry>", "no_address"),
    ]


def test_a_json_feed():
    content = '{"items": [{"url": "/a", "date_published": "2003-12-13"}, {"external_url": "https://x.org/"}, {}, 3]}'
    assert read(content) == [
        Found("/a", AT, modified_ms=1071360000_000),
        Found("https://x.org/", AT),
        Damaged("{}", "no_address"),
        Damaged("3", "no_address"),
    ]


@pytest.mark.parametrize("layers", [1, 2])
def test_gzip_is_known_by_its_bytes_and_undone_twice(layers):
    body = urlset("https://e.org/a").encode()
    for _ in range(layers):
        body = gzip.compress(body)
    assert urls(body) == ["https://e.org/a"]


def test_members_and_padding_of_gzip_are_one_file():
    body = gzip.compress(b"https://e.org/a\n") + gzip.compress(b"https://e.org/b\n") + b"\0" * 9
    assert urls(body) == ["https://e.org/a", "https://e.org/b"]


def test_of_gzip_that_breaks_off_the_beginning_counts():
    *found, reason = read(gzip.compress(b"https://e.org/a\nhttps://e.org/b\n")[:-8])
    assert (found, reason) == ([Found("https://e.org/a"), Found("https://e.org/b")], "cut_short")


def test_beyond_50000_entries_nothing_is_read():
    entries = read("\n".join(f"https://e.org/{n}" for n in range(50_002)))
    assert len(entries) == 50_001
    assert entries[-1] == Damaged("more than 50,000 entries", "too_many")
    assert len(read("\n".join(f"https://e.org/{n}" for n in range(50_000)))) == 50_000


def test_beyond_its_size_nothing_is_read_and_a_gzip_bomb_takes_no_memory():
    bomb = gzip.compress(b" " * (64 << 20))
    tracemalloc.start()
    with pytest.raises(NotAListing, match="too_large"):
        all(len(chunk) <= CHUNK_BYTES for chunk in unpacked(io.BytesIO(bomb)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 << 20


def test_what_fits_exactly_is_not_too_large():
    assert b"".join(unpacked(io.BytesIO(b"x" * 100), max_bytes=100)) == b"x" * 100
    with pytest.raises(NotAListing, match="too_large"):
        list(unpacked(io.BytesIO(b"x" * 101), max_bytes=100))
