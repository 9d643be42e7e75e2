"""RabbitMQ's management HTTP API, as far as tools and tests need it: a tenth of rabbitmqctl's time."""

import base64
import http.client
import json
import time
from typing import Any
from urllib.parse import quote

from crawl_dev.errors import ServersError
from crawl_dev.ports import LOOPBACK
from crawl_dev.process import POLL_S

#: RabbitMQ's default user; it may log in from loopback only, where private nodes listen.
USERNAME = PASSWORD = "guest"  # noqa: S105 - public knowledge
_AUTHORIZATION = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
#: A virtual host is created on every node before the answer comes.
_TIMEOUT_S = 30.0


class Management:
    """One node's management API (https://www.rabbitmq.com/docs/http-api-reference)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._port = port

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer of ``/api/<path>``, None if it is empty.

        Raises:
            ServersError: no answer, or one that is not 2xx.
        """
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=_TIMEOUT_S)
        headers = {"Authorization": _AUTHORIZATION, "Content-Type": "application/json"}
        try:
            connection.request(method, f"/api/{path}", body=json.dumps(body or {}), headers=headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServersError(f"{method} {self.url}/api/{path}: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ServersError(f"{method} {self.url}/api/{path}: {response.status} {answer[:200]!r}")
        return json.loads(answer) if answer else None

    def running_nodes(self) -> set[str]:
        """The cluster's running nodes as this one sees them; empty while it does not answer."""
        try:
            return {node["name"] for node in self.call("GET", "nodes") if node["running"]}
        except ServersError:
            return set()

    def add_vhost(self, name: str, deadline_s: float) -> None:
        """Create a virtual host that the default user may use, and wait until it runs on every node.

        Raises:
            ServersError: it does not run everywhere after ``deadline_s`` seconds.
        """
        self.call("PUT", f"vhosts/{quote(name, safe='')}")
        self.call(
            "PUT",
            f"permissions/{quote(name, safe='')}/{USERNAME}",
            {"configure": ".*", "write": ".*", "read": ".*"},
        )
        until = time.monotonic() + deadline_s
        while set(self.call("GET", f"vhosts/{quote(name, safe='')}")["cluster_state"].values()) != {"running"}:
            if time.monotonic() > until:
                raise ServersError(f"virtual host {name} does not run on every node")
            time.sleep(POLL_S)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host with everything in it."""
        self.call("DELETE", f"vhosts/{quote(name, safe='')}")
