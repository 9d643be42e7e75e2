"""A web that wants to hurt its crawler, one page for each hazard, and what visiting it costs.

``hazard`` says what a hazard is, ``wires``, ``packed`` and ``markup`` hold them, ``web`` serves them in a process of
its own, ``visitor`` is the process that fetches and parses them, ``visits`` starts both and judges what came of it.
``make hostile`` prints a table, ``tests/integration/test_hostile_web.py`` is a short run.
"""
