"""What crawl-doctor knows: facts are observed, checks turn them into findings, and nothing here changes anything.

``observe_*`` ask servers and return :mod:`.facts`; ``check_*`` are pure functions from facts to :mod:`.finding`.
"""
