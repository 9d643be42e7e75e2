"""Which encoding a page is in: BOM, HTTP charset, ``<meta>``, then a guess; as the HTML Standard sniffs it.

https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding with the labels of
https://encoding.spec.whatwg.org/#names-and-labels. The names returned are known to Python's codecs and to libxml2,
which do not know all of the standard's: cp932 is its shift_jis, cp949 its euc-kr, big5-hkscs its big5.
"""

import re
from typing import Final

#: Where the Standard looks for a declaration before it parses.
PRESCAN_BYTES: Final = 1024
#: A parser that meets a later ``<meta>`` starts again with what it says; nobody writes one behind this.
LATE_BYTES: Final = 64 * 1024

_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))

_LABELS: Final = {
    label: name
    for name, labels in {
        "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
        "ibm866": "866 cp866 csibm866 ibm866",
        "iso-8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
        "iso-8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
        "iso-8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
        "iso-8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
        "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e"
        " iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
        "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597"
        " iso_8859-7 iso_8859-7:1987 sun_eu_greek",
        "iso-8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598"
        " iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
        "iso-8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
        "iso-8859-13": "iso-8859-13 iso8859-13 iso885913",
        "iso-8859-14": "iso-8859-14 iso8859-14 iso885914",
        "iso-8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
        "iso-8859-16": "iso-8859-16",
        "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
        "koi8-u": "koi8-ru koi8-u",
        "macintosh": "csmacintosh mac macintosh x-mac-roman",
        "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
        "windows-1250": "cp1250 windows-1250 x-cp1250",
        "windows-1251": "cp1251 windows-1251 x-cp1251",
        "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1"
        " iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined",
        "windows-1253": "cp1253 windows-1253 x-cp1253",
        "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989"
        " l5 latin5 windows-1254 x-cp1254",
        "windows-1255": "cp1255 windows-1255 x-cp1255",
        "windows-1256": "cp1256 windows-1256 x-cp1256",
        "windows-1257": "cp1257 windows-1257 x-cp1257",
        "windows-1258": "cp1258 windows-1258 x-cp1258",
        "maccyrillic": "x-mac-cyrillic x-mac-ukrainian",
        "gb18030": "gb18030 chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
        "big5-hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
        "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
        "iso-2022-jp": "csiso2022jp iso-2022-jp",
        "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
        "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
        " windows-949",
        "utf-16be": "unicodefffe utf-16be",
        "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    }.items()
    for label in labels.split()
}
#: Every name that :func:`detect` can return.
NAMES: Final = frozenset(_LABELS.values())

_WHITE: Final = b"\t\n\f\r "
_COMMENT, _COMMENT_END = b"<!--", b"-->"
_META: Final = re.compile(rb"<meta[\t\n\f\r /]", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"charset", re.IGNORECASE)
_TAG: Final = re.compile(rb"</?[a-z][^\t\n\f\r >]*+", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    rb"""[\t\n\f\r\ /]*+ (?P<name> [^\t\n\f\r\ />] [^\t\n\f\r\ />=]*+ )
    (?: [\t\n\f\r\ ]*+ = [\t\n\f\r\ ]*+
        (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>[^\t\n\f\r\ >"'][^\t\n\f\r\ >]*+) | (?=>)
          | (?P<unended>) ) )?+""",
    re.VERBOSE,
)
_IN_CONTENT: Final = re.compile(
    rb"""charset [\t\n\f\r\ ]*+ = [\t\n\f\r\ ]*+ (?: "([^"]*+)" | '([^']*+)' | ([^\t\n\f\r\ ;"'][^\t\n\f\r\ ;]*+) )""",
    re.VERBOSE | re.IGNORECASE,
)
_XML_DECLARATION: Final = re.compile(rb"""<\?xml[^>]*?\sencoding\s*+=\s*+(?:"([^">]+)"|'([^'>]+)')""")


def detect(body: bytes, header_charset: str | None) -> str:
    """The name of the encoding that ``body`` is in, one of :data:`NAMES`.

    Without any declaration it is UTF-8 if it is valid as such and more than ASCII, else windows-1252, which ASCII is
    a part of (browsers encode such a page's queries in it).

    Args:
        body: the page, decoded from its content coding.
        header_charset: the charset parameter of Content-Type, None without one.
    """
    for bom, name in _BOMS:
        if body.startswith(bom):
            return name
    if header_charset and (known := _LABELS.get(header_charset.strip().lower())):
        return known
    if declared := _prescan(body[:PRESCAN_BYTES]):
        return declared
    if not body.isascii() and _is_utf8(body):
        return "utf-8"
    return _late_meta(body) or "windows-1252"


def _prescan(head: bytes) -> str | None:
    """The Standard's "prescan a byte stream to determine its encoding"."""
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        if head.startswith(_COMMENT, at):
            at = head.find(_COMMENT_END, at + 2)  # <!--> is a whole comment
        elif tag := _TAG.match(head, at):
            meta = _META.match(head, at)
            attributes, at = _attributes(head, (meta or tag).end())
            if meta and at >= 0 and (name := _declared(attributes)):
                return name
        elif head.startswith((b"<!", b"</", b"<?"), at):
            at = head.find(b">", at)
        else:
            at += 1
        if at < 0:
            break
    xml = _XML_DECLARATION.match(head)
    return _never_utf16(xml[1] or xml[2]) if xml else None


def _late_meta(body: bytes) -> str | None:
    """What a parser would come upon behind the prescan; most pages that come this far say nothing at all."""
    head = body[:LATE_BYTES]
    return _prescan(head) if _CHARSET.search(head) else None


def _attributes(markup: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A tag's attributes, the first of each name, and where its ``>`` is; -1 when it does not end."""
    found: dict[bytes, bytes] = {}
    while attribute := _ATTRIBUTE.match(markup, at):
        if attribute["unended"] is not None:
            return found, -1
        value = attribute["double"] or attribute["single"] or attribute["bare"] or b""
        found.setdefault(attribute["name"].lower(), value.lower())
        at = attribute.end()
    return found, markup.find(b">", at)


def _declared(meta: dict[bytes, bytes]) -> str | None:
    if (label := meta.get(b"charset")) is not None:
        return _never_utf16(label)
    if meta.get(b"http-equiv") != b"content-type":
        return None
    charset = _IN_CONTENT.search(meta.get(b"content", b""))
    return _never_utf16(charset[1] or charset[2] or charset[3] or b"") if charset else None


def _never_utf16(label: bytes) -> str | None:
    """What a label within the markup means: we could read it, so it is not in UTF-16."""
    name = _LABELS.get(label.strip(_WHITE).lower().decode("latin-1"))
    return "utf-8" if name in {"utf-16be", "utf-16le"} else name


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
