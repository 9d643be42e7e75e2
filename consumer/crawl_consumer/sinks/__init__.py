"""Where items go: files, archives, databases, exchanges and lists, each behind :class:`crawl_consumer.sink.Sink`.

In the order of reading: :mod:`.groups` (many pages share one sync), :mod:`.jsonlines` on :mod:`.appending`,
:mod:`.files` on :mod:`.series` with :mod:`.lines`, :mod:`.warc`, :mod:`.sql` with :mod:`.sql_tables`,
:mod:`.exchange`, :mod:`.redis_list`, :mod:`.several`, :mod:`.choosing` and :mod:`.by_queue`.
"""
