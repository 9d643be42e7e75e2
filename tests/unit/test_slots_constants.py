"""slots.lua and slots.py count with the same numbers."""

import re
from importlib import resources

from crawl_dedup import slots


def test_every_constant_of_the_functions_is_the_one_that_is_explained():
    code = resources.files("crawl_dedup").joinpath("slots.lua").read_text()
    in_lua = {}
    for names, values in re.findall(r"^local ([A-Z_, ]+) = ([\d., ]+)$", code, re.MULTILINE):
        in_lua |= dict(zip(names.split(", "), map(float, values.split(", ")), strict=True))
    assert len(in_lua) > 10
    assert in_lua == {name: getattr(slots, name) for name in in_lua}
