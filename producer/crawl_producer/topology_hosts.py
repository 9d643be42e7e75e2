"""What a crawl says to certain hosts: ``hosts:`` of exchanges.yaml, in which no secret ever stands.

Passwords and tokens are named by the variable of the environment that holds them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PATTERN = re.compile(
    r"(?:(?P<scheme>https?)://)?"
    r"(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>\d{1,5}))?"
)
#: Field names (RFC 9110, 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Fields that the fetcher or the connection answers for.
_OURS = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
#: Fields that let somebody in; a file that many read is no place for them.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HostPattern:
    """Which requests are meant.

    Attributes:
        scheme: ``http`` or ``https``; None: both.
        host: a name, ``*.name`` for all below it, or ``*``; IPv6 addresses without brackets.
        port: None: the scheme's own.
    """

    scheme: str | None
    host: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> "HostPattern":
        """Read ``[scheme://]host[:port]``. Raises ValueError."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                "no host; write example.org, '*.example.org' or https://example.org:8443, in small letters"
            )
        return cls(match["scheme"], match["host"].strip("[]"), int(match["port"]) if match["port"] else None)

    def matches(self, scheme: str, host: str, port: int) -> bool:
        """Whether a request to this origin is meant."""
        return (
            self.scheme in {None, scheme}
            and port == (self.port or _DEFAULT_PORTS[scheme])
            and (self.host in {"*", host} or (self.host.startswith("*.") and host.endswith(self.host[1:])))
        )


def _pattern(text: str) -> str:
    HostPattern.of(text)
    return text


def _name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("no name of a header field")
    if name.lower() == "user-agent":
        raise ValueError("not here; a crawl names itself with user_agent, to all hosts alike")
    if name.lower() in _OURS:
        raise ValueError("not to be changed; the connection depends on it")
    return name


def _value(value: str) -> str:
    if not is_field_value(value):
        raise ValueError("no value of a header field; write one line of printable ASCII")
    return value


def is_field_value(value: str) -> bool:
    """Whether this can stand in one header line."""
    return bool(value) and value.isascii() and value.isprintable() and value == value.strip()


def _username(name: str) -> str:
    if ":" in name or not name.isprintable():
        raise ValueError("no user name; it has no colon (RFC 7617)")
    return name


_Pattern = Annotated[str, AfterValidator(_pattern)]
_FieldName = Annotated[str, AfterValidator(_name)]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class BasicAuth(BaseModel):
    """HTTP Basic authentication (RFC 7617)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: Annotated[str, AfterValidator(_username)]
    password_env: _Variable  #: the variable that holds the password


class HostSpec(BaseModel):
    """Header fields for the requests to some hosts, and whether they must prove who they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    headers: dict[_FieldName, Annotated[str, AfterValidator(_value)]] = Field(default_factory=dict)
    headers_env: dict[_FieldName, _Variable] = Field(default_factory=dict)  #: field → variable that holds its value
    basic_auth: BasicAuth | None = None
    tls: Literal["verified", "unverified"] = "verified"  #: unverified: any certificate will do, and nobody looks at it

    def variables(self) -> Iterator[str]:
        """The variables of the environment that it names."""
        yield from self.headers_env.values()
        if self.basic_auth is not None:
            yield self.basic_auth.password_env


def _hosts(hosts: Mapping[str, HostSpec]) -> Mapping[str, HostSpec]:
    for text, spec in hosts.items():
        pattern = HostPattern.of(text)
        names = [name.lower() for name in (*spec.headers, *spec.headers_env)]
        if open_secret := next((name for name in spec.headers if name.lower() in _SECRET), None):
            raise ValueError(f"{text}: {open_secret} is a secret; name its variable under headers_env")
        if len(set(names)) < len(names) or (spec.basic_auth and "authorization" in names):
            raise ValueError(f"{text}: a header field is given twice; keep one")
        if any(spec.variables()) and (pattern.scheme is None or pattern.host == "*"):
            raise ValueError(f"{text}: a secret is for one scheme and host; write https://example.org")
        if spec.tls == "unverified" and (pattern.scheme == "http" or pattern.host == "*"):
            raise ValueError(f"{text}: tls is for https and for hosts that are named; write https://example.org")
    return hosts


#: The hosts of a crawl, by :class:`HostPattern`; the first that matches counts.
Hosts = Annotated[dict[_Pattern, HostSpec], AfterValidator(_hosts)]
