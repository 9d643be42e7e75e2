"""What goes into RabbitMQ: topology, messages, connections, admission and seeds.

In the order of reading: :mod:`.seeds`, :mod:`.seeding`, :mod:`.admission`, :mod:`.scope`, :mod:`.routing`,
:mod:`.message`, then the promise :mod:`.broker` with its implementations :mod:`.amqp` and
:mod:`.memory_broker`, and :mod:`.topology`, which is exchanges.yaml.
"""
