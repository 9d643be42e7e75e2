"""What comes out of RabbitMQ: deliveries, pages, items and new links.

In the order of reading: :mod:`.worker`, :mod:`.intake`, :mod:`.crawl` (the story of one URL), :mod:`.fetch`,
:mod:`.outcome`, :mod:`.page`, :mod:`.spider`, :mod:`.sink`, :mod:`.harvest`, :mod:`.successors`.
"""
