"""Header fields that are sent to some hosts and to no other: what exchanges.yaml says, secrets filled in.

Every request is matched by its own URL. A redirect is a message of its own, and robots.txt is asked for hop by hop, so
what was meant for one host never follows to another.
"""

import base64
from collections.abc import Mapping

from pydantic import SecretStr

from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology_hosts import HostPattern, HostSpec, is_field_value

_NONE: Mapping[str, str] = {}


class HostHeaders:
    """The header fields of one crawl.

    Args:
        hosts: the crawl's ``hosts:``.
        secrets: what the environment holds, by the variable's name.

    Raises:
        TopologyInvalid: a variable is not set, or cannot be sent; the message names it, not its value.
    """

    def __init__(self, hosts: Mapping[str, HostSpec], secrets: Mapping[str, SecretStr]) -> None:
        self._fields = [(HostPattern.of(text), _fields(text, spec, secrets)) for text, spec in hosts.items()]

    def __repr__(self) -> str:
        return f"<HostHeaders for {len(self._fields)} patterns>"

    def of(self, scheme: str, host: str, port: int) -> Mapping[str, str]:
        """The fields for a request to this origin: those of the first pattern that matches."""
        return next((fields for pattern, fields in self._fields if pattern.matches(scheme, host, port)), _NONE)


def _fields(text: str, spec: HostSpec, secrets: Mapping[str, SecretStr]) -> Mapping[str, str]:
    fields = dict(spec.headers)
    for name, variable in spec.headers_env.items():
        fields[name] = _secret(text, variable, secrets)
        if not is_field_value(fields[name]):
            raise TopologyInvalid(f"{variable}: no value of a header field", remedy="one line of printable ASCII")
    if (auth := spec.basic_auth) is not None:
        pair = f"{auth.username}:{_secret(text, auth.password_env, secrets)}"
        fields["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return fields


def _secret(text: str, variable: str, secrets: Mapping[str, SecretStr]) -> str:
    if variable not in secrets:
        raise TopologyInvalid(f"{variable}: not set, but needed for {text}", remedy="set it in the environment")
    return secrets[variable].get_secret_value()
