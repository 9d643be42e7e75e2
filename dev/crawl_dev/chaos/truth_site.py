"""A planned site in a process of its own: a context manager that starts it, stops it, and reads what it was asked."""

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Self

from crawl_dev import ports
from crawl_dev.chaos.faults import Fetch
from crawl_dev.chaos.manners import Manners
from crawl_dev.chaos.plan import SitePlan
from crawl_dev.process import ServerProcess


class TruthSite(ServerProcess):
    """The site of a seed, with an address for each of its hosts.

    Args:
        seed: what it is made from; see :class:`SitePlan`.
        pages: how many.
        pause_s: how long every answer takes, seconds: it stretches a crawl without costing processor time.
        manners: what it asks of its visitors.

    Raises:
        ServersError: it does not start.
    """

    def __init__(self, seed: int, pages: int, *, pause_s: float = 0.0, manners: Manners | None = None) -> None:
        (port,) = ports.free_ports(1)
        self.plan = SitePlan(seed, pages, port=port, manners=manners)
        self.pause_s = pause_s
        folder = Path(tempfile.mkdtemp(prefix="crawl-truth-"))
        self.hosts_file = folder / "hosts"
        self._requests = folder / "requests.tsv"
        addresses = {name: f"127.0.1.{number}" for number, name in enumerate(self.plan.hosts, 1)}
        command = [sys.executable, "-m", "crawl_dev.chaos.truth_server", str(folder)]
        super().__init__("site", port, folder, command, {"PYTHONPATH": str(Path(__file__).parents[2])})
        self.hosts_file.write_text("".join(f"{address} {name}\n" for name, address in addresses.items()))
        site = {"seed": seed, "pages": pages, "hosts": len(addresses), "port": port, "pause_s": pause_s}
        more = {"addresses": [*addresses.values(), ports.LOOPBACK], "manners": manners and asdict(manners)}
        (folder / "site.json").write_text(json.dumps(site | more))

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.terminate()
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Whether it takes connections."""
        return ports.listening(self.port)

    def fetches(self) -> list[Fetch]:
        """Every request so far, in the order in which they came."""
        fields = (line.split("\t") for line in self._requests.read_text().splitlines())
        return [Fetch(float(at_s), consumer, url, int(status)) for at_s, consumer, url, status in fields]
