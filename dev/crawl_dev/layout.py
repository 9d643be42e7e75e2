"""Which private servers a folder holds and where they listen, written down for later commands."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from crawl_dev.errors import ServersError
from crawl_dev.ports import free_ports
from crawl_dev.rabbit_installation import RabbitInstallation

_STATE = "state.json"
#: A replicated Redis: two servers, three Sentinels.
_REPLICATED = 5


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Where one RabbitMQ node listens."""

    amqp: int
    management: int
    distribution: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The servers of one folder.

    Attributes:
        folder: everything of them is kept here.
        temporary: whether the folder goes when they are stopped.
        epmd_port: where the RabbitMQ nodes' port mapper listens.
        nodes: one per RabbitMQ node.
        redis_port: None if there is no Redis, or one with a replica.
        rabbitmq: which RabbitMQ the nodes run.
        replicated: the ports of two Redis servers and three Sentinels, if there are any.
    """

    folder: Path
    temporary: bool
    epmd_port: int
    nodes: tuple[NodePorts, ...]
    redis_port: int | None
    rabbitmq: RabbitInstallation
    replicated: tuple[int, ...] = ()

    @classmethod
    def plan(cls, rabbit_nodes: int, *, redis: bool, folder: Path | None, replicated: bool = False) -> Self:
        """Free ports for so many servers, in a new temporary folder or in ``folder``.

        Args:
            rabbit_nodes: how many RabbitMQ nodes.
            redis: whether there is a Redis.
            folder: None for a temporary one.
            replicated: whether that Redis has a replica, and Sentinels.

        Raises:
            ServersError: ``folder`` holds something already.
        """
        if folder is not None and folder.exists() and any(folder.iterdir()):
            raise ServersError(f"{folder} is not empty", remedy="name a new folder")
        epmd_port, redis_port, *rest = free_ports(2 + 3 * rabbit_nodes + _REPLICATED)
        rest, others = rest[:-_REPLICATED], rest[-_REPLICATED:]
        return cls(
            folder=Path(tempfile.mkdtemp(prefix="crawl-servers-") if folder is None else folder).resolve(),
            temporary=folder is None,
            epmd_port=epmd_port,
            nodes=tuple(NodePorts(*rest[i : i + 3]) for i in range(0, len(rest), 3)),
            redis_port=redis_port if redis and not replicated else None,
            rabbitmq=RabbitInstallation.chosen(),
            replicated=tuple(others) if redis and replicated else (),
        )

    def write(self) -> None:
        """Write it into its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _STATE).write_text(json.dumps(asdict(self), default=str, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What was written into ``folder``.

        Raises:
            ServersError: there is nothing of ours in it.
        """
        try:
            known = json.loads((folder / _STATE).read_text())
        except (OSError, ValueError):
            remedy = "name the folder that `up` printed"
            raise ServersError(f"{folder} holds no private servers", remedy=remedy) from None
        nodes = tuple(NodePorts(**node) for node in known["nodes"])
        root = known["rabbitmq"]["root"]
        mended = {
            "folder": folder.resolve(),
            "nodes": nodes,
            "rabbitmq": RabbitInstallation(Path(root) if root else None),
            "replicated": tuple(known["replicated"]),
        }
        return cls(**known | mended)
