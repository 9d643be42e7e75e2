"""Where seeds come from besides files: sitemaps and feeds, keys of Redis, queues of other systems.

In the order of reading: :mod:`.walk` goes through sitemaps and what they lead to; :mod:`.web` fetches one,
:mod:`.unpack` undoes its compression, :mod:`.listing` says what it is and reads it, with :mod:`.markup` for XML;
:mod:`.modified` understands its dates. Beside them :mod:`.redis_key` and :mod:`.inbox` take what other systems write,
in the forms of :mod:`.written`; :mod:`.service` goes on doing so.
"""
