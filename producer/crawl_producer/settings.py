"""Settings, built once at the edge: flags over environment over exchanges.yaml."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from crawl_producer import topology_file
from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology import Connection, Tls, Topology

_PREFIX = "CRAWL_"
#: Which field of exchanges.yaml each variable overrides.
_CONNECTION = {
    "nodes": "rabbitmq_nodes",
    "vhost": "rabbitmq_vhost",
    "username": "rabbitmq_username",
    "password": "rabbitmq_password",
    "management": "rabbitmq_management",
    "message_keys": "message_key",
}
_TLS = {"ca_file": "rabbitmq_ca_file", "cert_file": "rabbitmq_cert_file", "key_file": "rabbitmq_key_file"}
_REDIS = {"url": "redis_url"}
_POLITENESS = {"delay_s": "delay_s"}
_CRAWL = {"allow_networks": "allow_networks"}

_M = TypeVar("_M", bound=BaseModel)


def _split(values: object) -> object:
    return [value.strip() for value in values.split(",") if value.strip()] if isinstance(values, str) else values


class Overrides(BaseSettings):
    """What the environment says: ``CRAWL_`` and the field's name in capitals; empty counts as unset."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True)

    topology: Path | None = None  #: the file to read instead of ./exchanges.yaml
    #: host:port, several separated by commas
    rabbitmq_nodes: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_split)] = None
    rabbitmq_vhost: str | None = None
    rabbitmq_username: str | None = None
    rabbitmq_password: SecretStr | None = None
    rabbitmq_tls: bool | None = None  #: 1: TLS also without a file below, 0: none, whatever exchanges.yaml says
    rabbitmq_ca_file: str | None = None  #: PEM files, as under connection.tls; each of them asks for TLS
    rabbitmq_cert_file: str | None = None
    rabbitmq_key_file: str | None = None
    rabbitmq_management: str | None = None  #: base URL of the management API
    #: one key, or several separated by commas: the first one seals messages, all of them are believed
    message_key: Annotated[tuple[SecretStr, ...] | None, NoDecode, BeforeValidator(_split)] = None
    redis_url: SecretStr | None = None
    delay_s: str | None = None  #: every crawl's politeness.delay_s; 0 for a site of your own
    #: every crawl's allow_networks, several separated by commas
    allow_networks: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_split)] = None


@dataclass(frozen=True, slots=True)
class LoadedTopology:
    """A valid topology, the environment's overrides included, and where it came from.

    Attributes:
        topology: exchanges.yaml.
        path: the file.
        chosen_by: the rule by which it was chosen.
        secrets: what is set of the variables that ``hosts:`` name.
    """

    topology: Topology
    path: Path
    chosen_by: str
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)

    def confidential(self) -> Iterator[str]:
        """The values that nothing may show."""
        topology = self.topology
        yield topology.connection.password.get_secret_value()
        yield from (key.get_secret_value() for key in topology.connection.message_keys)
        yield from (secret.get_secret_value() for secret in self.secrets.values())
        url = topology.redis.url.get_secret_value()
        yield url
        yield from _passwords(url)


def load(option: Path | None = None, overrides: Overrides | None = None) -> LoadedTopology:
    """Find, read and validate exchanges.yaml and let the environment override addresses, credentials and the like.

    Args:
        option: the value of ``--topology``.
        overrides: what the environment says; None reads it now.

    Raises:
        TopologyInvalid: no file, a wrong file (one line for each mistake) or a wrong variable, by its name.
    """
    given = Overrides() if overrides is None else overrides
    found = topology_file.find(option, given.topology)
    topology = overridden(topology_file.load(found), given)
    return LoadedTopology(topology, found.path, found.chosen_by, _secrets(topology))


def overridden(topology: Topology, given: Overrides) -> Topology:
    """``topology`` with what the environment says instead.

    Raises:
        TopologyInvalid: a variable is wrong; the message names it.
    """
    update = {
        "connection": _with_tls(_overridden(topology.connection, _CONNECTION, given), given),
        "redis": _overridden(topology.redis, _REDIS, given),
        "crawls": {
            name: _overridden(crawl, _CRAWL, given).model_copy(
                update={"politeness": _overridden(crawl.politeness, _POLITENESS, given)}
            )
            for name, crawl in topology.crawls.items()
        },
    }
    return topology.model_copy(update=update)


def _with_tls(connection: Connection, given: Overrides) -> Connection:
    named = any(getattr(given, name) is not None for name in _TLS.values())
    if given.rabbitmq_tls is None and not named:
        return connection
    tls = None if given.rabbitmq_tls is False else _overridden(connection.tls or Tls(), _TLS, given)
    return connection.model_copy(update={"tls": tls})


def _passwords(url: str) -> Iterator[str]:
    """Those in a Redis URL, as they were written and as they are; whatever stands before the last @ is one."""
    login = urlsplit(url.rpartition("@")[0]).netloc.partition(":")[2]
    yield from (login, unquote(login))
    yield from (value for name, value in parse_qsl(urlsplit(url).query) if "password" in name)


def _secrets(topology: Topology) -> Mapping[str, SecretStr]:
    named = {name for crawl in topology.crawls.values() for host in crawl.hosts.values() for name in host.variables()}
    return {name: SecretStr(os.environ[name]) for name in named if os.environ.get(name)}


def _overridden(base: _M, variables: dict[str, str], overrides: Overrides) -> _M:
    values = {field: getattr(overrides, name) for field, name in variables.items()}
    given = {field: value for field, value in values.items() if value is not None}
    if not given:
        return base
    try:
        # Through validation: model_copy alone would take anything.
        return type(base).model_validate({**dict(base), **given})
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        what, _, remedy = detail["msg"].removeprefix("Value error, ").partition("; ")
        # What is wrong with several of them together has no place of its own.
        place = str(detail["loc"][0]) if detail["loc"] else next(iter(given))
        variable = _PREFIX + variables[place].upper()
        raise TopologyInvalid(f"{variable}: {what}", remedy=remedy or "correct or unset it") from None
