"""What people are shown of what others wrote: no secrets, nothing that a terminal would obey, and not too much of it.

For logs, errors, reports and the reasons of dead letters. What a crawl is for (records, messages, archives) stays as it
came: a record that hides where its page was is of no use.
"""

import re
from urllib.parse import quote

#: Of one text. A line of a log stays a line, and a page cannot fill a disk with its title.
MAX_CHARS = 512
#: Of a text that is looked at, so that no pattern works on a megabyte: twice the longest URL.
LOOKED_AT_CHARS = 4096
#: Shorter values of secrets are not looked for: they stand in half of all words.
MIN_SECRET_CHARS = 6

_HIDDEN = "***"
#: Before the host of a web address everything is a secret: tokens stand in the place of the name as well. A colon with
#: no port behind it begins a password, even one with a slash, which is no URL any more.
_WEB_LOGIN = re.compile(
    r"(?i)(\bhttps?:[/\\]+)"
    r"(?:[^\s/?#\\]{0,2100}@|(?!\[)[^\s:/?#]{0,2100}:(?!\d{0,5}(?:[/?#\s]|$))\S{0,2100}@)"
)
#: Other addresses are our own servers', of which the name is worth knowing. Their passwords may hold anything.
_LOGIN = re.compile(r"(?i)(\b(?!https?:)[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,2100}):\S{0,2100}@")
#: Names of parameters whose values let somebody in (OWASP's lists of what not to log, clouds' signed URLs). A word too
#: many costs a value in a log; one too few lets somebody in. They may stand in an address that is a value itself.
_PARAMETER = re.compile(
    r"""(?ix)(?:(?<![\w.%\[\]-]) | (?<=%26) | (?<=%3f))
    (
      (?:[\w.\[\]-]|%(?!3d|26)){0,64}
      (?:token|secret|passw|passphrase|pwd|api[_.-]?key|access[_.-]?key|auth(?!or(?!i[sz]))|credential|signature
        |sess(?:ion|id)|jwt|hmac|saml|assertion|otp)
      (?:[\w.\[\]-]|%(?!3d|26)){0,64}
    | (?:(?:[\w.-]|%(?!3d|26)){0,64}[_.-])?(?:key|pass|code|sig|sid|pin|hash|ticket|nonce)
    )
    (=|%3d)[^&;\#\s"'<>]+"""
)


def shown(text: object, max_chars: int = MAX_CHARS) -> str:
    """A text of somebody else's, a URL or a reason, as one line that may be printed and logged.

    Logins and the values of parameters that let somebody in are ``***``, control characters are escaped, and what is
    longer is cut.
    """
    line = escaped(redacted(str(text)[:LOOKED_AT_CHARS]))
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def redacted(text: str) -> str:
    """``text`` without logins in its addresses, and without the values of parameters that let somebody in."""
    if "@" in text:
        text = _WEB_LOGIN.sub(rf"\1{_HIDDEN}@", text)
        text = _LOGIN.sub(rf"\1:{_HIDDEN}@", text)
    return _PARAMETER.sub(rf"\1\2{_HIDDEN}", text) if "=" in text or "%3" in text else text


def escaped(text: str) -> str:
    """``text`` with every character that is not printable as Python writes it, the ends of lines included."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


class Secrets:
    """Values that must not be shown wherever they turn up, as in what another library says."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._values)}>"

    def add(self, *values: str) -> None:
        """Hide these from now on, also as they stand in a URL."""
        self._values.update(form for value in values for form in (value, quote(value, safe="")) if value)

    def hidden(self, text: str) -> str:
        """``text`` with ``***`` for each of them, and as :func:`redacted`."""
        for value in self._values:
            if len(value) >= MIN_SECRET_CHARS:
                text = text.replace(value, _HIDDEN)
        return redacted(text)
