"""Session ids in URLs: parameters that tell visitors apart, not pages.

Known by name; names that honest pages use as well only where the value is as long as a session id must be to be no
guess. Sources: Heritrix' StripSessionIDs and StripSessionCFIDs
(https://github.com/internetarchive/heritrix3, modules/.../canonicalize), Nutch' regex-normalize.xml
(https://github.com/apache/nutch/blob/master/conf/regex-normalize.xml.template); osCsid and zenid are those of
osCommerce and Zen Cart.
"""

from typing import Final

#: Belongs to the crawl where session ids are dropped (crawl_dedup.canonical_rules): raise it when the answer of
#: :func:`is_session_id` changes for any parameter.
SESSION_IDS_VERSION: Final = 1

#: In lower case, as all names here: nothing else is called so.
ALWAYS: Final = frozenset({"jsessionid", "phpsessid", "cfid", "cftoken"})
#: IIS adds eight letters of its own to it.
ASP_PREFIX: Final = "aspsessionid"
#: An article's number may be called so, or a conference's session.
WITH_LONG_VALUES: Final = frozenset({"sid", "sessid", "sessionid", "session_id", "oscsid", "zenid"})
#: Characters of such a value at least: PHP's shortest session id has 22, a number or a word has fewer.
LONG_CHARS: Final = 20

#: What session ids are made of besides letters and digits (PHP's session.sid_bits_per_character, UUIDs).
_PUNCTUATION = str.maketrans("-_,.", "0000")


def is_session_id(parameter: str) -> bool:
    """Whether ``name=value`` is one, as it stands in a query, or behind a semicolon in a path."""
    name, _, value = parameter.partition("=")
    name = name.lower()
    if name in WITH_LONG_VALUES:
        return len(value) >= LONG_CHARS and value.translate(_PUNCTUATION).isalnum()
    return name in ALWAYS or name.startswith(ASP_PREFIX)


def has_session_id(url: str) -> bool:
    """Whether there is one in a canonical URL."""
    before, _, query = url.partition("?")
    if query and any(map(is_session_id, query.split("&"))):
        return True
    return ";" in before and without_session_ids(before) != before


def without_session_ids(before_query: str) -> str:
    """A canonical URL's part in front of its query, without the session ids that stand behind semicolons.

    What is left need not be canonical any more: ``/..;jsessionid=1`` becomes ``/..``.
    """
    *authority, path = before_query.split("/", 3)
    segments = [
        ";".join([part for place, part in enumerate(segment.split(";")) if not place or not is_session_id(part)])
        for segment in path.split("/")
    ]
    return "/".join([*authority, "/".join(segments)])
