"""Whose rules a tool works by: a crawl's of exchanges.yaml, or those of a crawl that no file describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from crawl_producer import opening, topology_file
from crawl_producer.settings import LoadedTopology, Overrides, overridden
from crawl_producer.special_addresses import Network
from crawl_producer.topology import CrawlSpec, Topology

#: The crawl, its exchange and its queue where no file names any.
CRAWL = "trial"
EXCHANGE = "crawl.trial"
QUEUE = "trial.pages"


@dataclass(frozen=True, slots=True)
class Rules:
    """A crawl, the topology that it is part of, and the secrets that its ``hosts:`` name."""

    crawl: str
    topology: Topology
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)

    @property
    def spec(self) -> CrawlSpec:
        """The crawl's section."""
        return self.topology.crawls[self.crawl]

    def allowing(self, networks: Sequence[Network]) -> "Rules":
        """These rules with networks to which the crawl may go as well."""
        wider = self.spec.model_copy(update={"allow_networks": (*self.spec.allow_networks, *networks)})
        crawls = {**self.topology.crawls, self.crawl: wider}
        return replace(self, topology=self.topology.model_copy(update={"crawls": crawls}))


def rules_for(loaded: LoadedTopology, crawl: str | None, *, allow_networks: Sequence[Network] = ()) -> Rules:
    """The rules of ``crawl``, or of the only crawl there is; where nobody wrote an exchanges.yaml, the default ones.

    Args:
        loaded: exchanges.yaml.
        crawl: its name.
        allow_networks: see :meth:`Rules.allowing`.

    Raises:
        UnknownName: no such crawl, or several and none is named.
    """
    if crawl is None and loaded.chosen_by == topology_file.PACKAGED:
        rules = Rules(CRAWL, overridden(default_topology(), Overrides()))
    else:
        rules = Rules(opening.only_crawl(loaded.topology, crawl), loaded.topology, loaded.secrets)
    return rules.allowing(allow_networks)


def default_topology() -> Topology:
    """One crawl on one queue, whose scope is the host of each seed; what fails is tried twice, soon."""
    return Topology.model_validate(
        {
            "exchanges": {EXCHANGE: {"type": "direct"}},
            "queues": {QUEUE: {"crawl": CRAWL, "bindings": [{"exchange": EXCHANGE, "key": "page"}]}},
            "crawls": {
                CRAWL: {"exchange": EXCHANGE, "key": "page", "retry": {"max_attempts": 2, "first_delay_s": 2.0}}
            },
        }
    )
