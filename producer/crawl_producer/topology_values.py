"""The values of exchanges.yaml: names, keys, patterns and addresses, each refused with what would be right.

No message here repeats an address that was written: it may hold a password.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from crawl_producer.ports import BAD_PORTS
from crawl_producer.rotation import Rotation, read_rotation

#: A short string of AMQP, in bytes.
MAX_KEY_BYTES = 255
#: A key that seals messages: 32 characters of hexadecimal digits are 128 bits, which nobody tries out.
MIN_MESSAGE_KEY_CHARS = 32
#: The highest TCP port there is.
MAX_PORT = 65535

_NODE = re.compile(r"(\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<name>[^\s:/@\[\]]+))(:(?P<port>\d{1,5}))?")


class Frozen(BaseModel):
    """A value: nothing changes it after the file was read, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _key(key: str) -> str:
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"too long; a routing key has at most {MAX_KEY_BYTES} bytes")
    if not key.isprintable():  # it waits in Redis in a line of its own (crawl_producer.admission)
        raise ValueError("a control character in a routing key; keys are written in one line")
    return key


def _message_key(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < MIN_MESSAGE_KEY_CHARS:
        raise ValueError(f"too short; {MIN_MESSAGE_KEY_CHARS} characters at least, as of openssl rand -hex 32")
    return key


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}; Python's re syntax is used") from None
    return pattern


def _argument(value: object) -> object:
    if not isinstance(value, str | int):
        raise ValueError("must be text, a whole number, true or false")  # noqa: TRY004  # pydantic's protocol
    return value


def _node(node: str) -> str:
    match = _NODE.fullmatch(node)
    if not match or not 1 <= int(match["port"] or 1) <= MAX_PORT:
        raise ValueError("no broker node; write host or host:port, without amqp:// or user and password")
    return node


def _redis_url(url: SecretStr) -> SecretStr:
    if not re.match(r"(rediss?|unix)://|rediss?\+sentinel://[^/]+/[^/]+", url.get_secret_value()):
        raise ValueError(
            "no Redis URL; write redis://host:port/0, rediss:// for TLS, unix:// for a socket, "
            "or redis+sentinel://host:26379,host2:26379/master/0"
        )
    return url


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(/[^\s@]*)?", url):
        raise ValueError("no management API; write http://host:15672, without user and password")
    return url.rstrip("/")


def _product_token(token: str) -> str:
    if not re.fullmatch(r"[A-Za-z_-]+", token):
        raise ValueError("no name that robots.txt can hold; write letters, _ and - only, no version")
    return token


def read_network(value: object) -> IPv4Network | IPv6Network:
    """Read a network in CIDR notation, or a single address. Raises ValueError."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        network = ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError("no network; write 10.0.0.0/8, or 10.1.2.3 for one address") from None
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError(f"an address inside of a network; write {network}, or the address alone") from None


def _port(port: int) -> int:
    if port in BAD_PORTS:
        raise ValueError("another protocol's port, where no web page is; leave it out")
    return port


def _rotation(value: object) -> Rotation:
    return value if isinstance(value, Rotation) else read_rotation(str(value))


def host_and_port(node: str, default_port: int) -> tuple[str, int]:
    """A valid :data:`Node` taken apart; IPv6 addresses lose their brackets."""
    match = _NODE.fullmatch(node)
    assert match is not None
    return match["ipv6"] or match["name"], int(match["port"] or default_port)


#: A name in RabbitMQ is at most 255 bytes; ours keep room for the derived ``dead.`` and ``.due``.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.:-]+$")]
#: What seals messages; see :mod:`crawl_producer.seal`.
MessageKey = Annotated[SecretStr, AfterValidator(_message_key)]
#: A topic pattern or plain routing key.
Key = Annotated[str, AfterValidator(_key)]
#: A regular expression, searched (not matched) in canonical URLs.
Pattern = Annotated[str, AfterValidator(_pattern)]
#: What AMQP clients agree on in a table of arguments.
Argument = Annotated[str | int | bool, BeforeValidator(_argument)]
#: A broker node, ``host`` or ``host:port``; an IPv6 address stands in brackets.
Node = Annotated[str, AfterValidator(_node)]
#: Where Redis is, password included.
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
#: The base URL of RabbitMQ's management API.
HttpUrl = Annotated[str, AfterValidator(_http_url)]
#: A crawler's name in robots.txt (RFC 9309, 2.2.1).
ProductToken = Annotated[str, AfterValidator(_product_token)]
#: A port that web pages may be on.
Port = Annotated[int, Field(ge=1, le=MAX_PORT), AfterValidator(_port)]
#: A network in CIDR notation, or one address.
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(read_network)]
#: Where items go, as ``crawl-consumer --output`` takes it.
Output = Annotated[str, Field(min_length=1)]
#: When an output's file is full, as ``crawl-consumer --rotate`` takes it.
Rotate = Annotated[Rotation, BeforeValidator(_rotation)]
