"""Tools for those who write spiders: one URL looked at, a page taken apart, a whole crawl in this process.

In the order of reading: :mod:`.rules` (which crawl's), :mod:`.looking` with :mod:`.paced` (a URL as the crawler sees
it), :mod:`.sight` (what is told of it), :mod:`.dissection` (items, and where links would go), :mod:`.trial` with
:mod:`.waiting` and :mod:`.summary` (a crawl in this process), :mod:`.starter` (a project to begin with),
:mod:`.prompt` (a page in Python's hands).
"""
