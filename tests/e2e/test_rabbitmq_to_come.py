"""A crawl on what RabbitMQ is becoming: Khepri keeps its metadata, and what is deprecated is refused."""

from pathlib import Path

import pytest

from crawl_dev import PrivateServers, StaticSite
from e2e_kit import Commands, wait_until

pytestmark = pytest.mark.servers

SITE = Path(__file__).resolve().parents[2] / "examples" / "site"
#: All of RabbitMQ 4.0's list that this release still permits and a client can ask for.
#: Source: https://www.rabbitmq.com/release-information/deprecated-features-list.
DEPRECATED = (
    "amqp_address_v1",
    "global_qos",
    "management_metrics_collection",
    "queue_master_locator",
    "transient_nonexcl_queues",
)
REFUSED = {f"deprecated_features.permit.{name}": "false" for name in DEPRECATED}


@pytest.fixture
def servers():
    with PrivateServers(3, rabbit_settings=REFUSED) as servers:
        servers.rabbit.ctl("enable_feature_flag", "--experimental", "khepri_db")
        yield servers


def test_a_crawl_ends_complete_though_a_node_dies(servers, tmp_path):
    first, second, _ = servers.rabbit.nodes
    environment = servers.environment() | {"CRAWL_RABBITMQ_MANAGEMENT": second.management_url}
    commands = Commands(environment, tmp_path)
    try:
        with StaticSite(SITE) as site:
            commands.run("crawl-topology", "apply")
            commands.run("crawl-seed", "--crawl", "docs", site.url)
            first.kill()
            assert commands.consumer().wait(60) == 0
        books = commands.status()
        assert (books["state"], books["admitted"], books["done"]) == ("complete", 8, 8)
        assert len({record["url"] for record in commands.records()}) == books["outcomes"]["ok"] == 7
        wait_until(lambda: commands.status()["in_flight"] == 0, "the management API to tell that all is acknowledged")
    finally:
        print(commands.stop())
