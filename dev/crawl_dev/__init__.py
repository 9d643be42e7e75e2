"""Private servers for development: the demo, the tests and the benchmarks all start theirs here.

::

    with PrivateServers(rabbit_nodes=3) as servers, StaticSite(folder) as site:
        run(["crawl-seed", site.url, ...], env=servers.environment())
        servers.rabbit.nodes[1].kill()
"""

from crawl_dev.errors import ServersError
from crawl_dev.ports import free_ports
from crawl_dev.rabbit_cluster import RabbitCluster
from crawl_dev.rabbit_installation import RabbitInstallation
from crawl_dev.rabbit_node import RabbitNode
from crawl_dev.redis_replicated import ReplicatedRedis
from crawl_dev.redis_server import RedisServer
from crawl_dev.servers import PrivateServers, Servers
from crawl_dev.site import OWN_SITE, SiteRequest, StaticSite, python_docs_root

__all__ = [
    "OWN_SITE",
    "PrivateServers",
    "RabbitCluster",
    "RabbitInstallation",
    "RabbitNode",
    "RedisServer",
    "ReplicatedRedis",
    "Servers",
    "ServersError",
    "SiteRequest",
    "StaticSite",
    "free_ports",
    "python_docs_root",
]
