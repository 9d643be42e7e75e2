"""Which RabbitMQ is too old for the topology."""

from types import SimpleNamespace

import pytest

from crawl_producer.amqp.admin import _refuse_older
from crawl_producer.errors import BrokerRefused


@pytest.mark.parametrize("version", ["3.9.29", "3.8.0-rc.1", "2.10.0"])
def test_a_rabbitmq_without_the_queues_that_delays_need_is_refused(version):
    with pytest.raises(BrokerRefused, match=f"RabbitMQ at n:1 has version {version}") as caught:
        _refuse_older(SimpleNamespace(node="n:1", server_version=version))
    assert caught.value.remedy == "install RabbitMQ 3.10 or later"


@pytest.mark.parametrize("version", ["3.10.0", "3.13.7", "4.0.5", "4.3.0-beta.1", "10.0.0", "", "unknown"])
def test_later_ones_and_those_that_do_not_tell_may_try(version):
    _refuse_older(SimpleNamespace(node="n:1", server_version=version))
