"""``python -m crawl_consumer`` is ``crawl-consumer``; the supervisor starts its children this way."""

from crawl_consumer.cli.consumer import main

main()
