"""What is set for the heap holds in the C library, which is asked itself."""

import subprocess
import sys

#: Frees a tree, and prints the bytes that glibc keeps aside in its lists of small chunks (mallinfo2(3)), and how many
#: objects the collector passes over.
FREED_A_TREE = """
import ctypes, gc, sys
from lxml import etree
from crawl_producer import heap

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

def kept_aside_bytes():
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)  # glibc since 2.33
    if tell is None:
        return 0
    tell.restype = Info
    return tell().fsmblks

if "prepared" in sys.argv:
    heap.prepare()
etree.HTML("<p>text</p>" * 200)
print(kept_aside_bytes(), gc.get_freeze_count())
"""


def freed_a_tree(*arguments: str) -> tuple[int, int]:
    command = [sys.executable, "-c", FREED_A_TREE, *arguments]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    aside_bytes, frozen = map(int, told.split())
    return aside_bytes, frozen


def test_small_chunks_are_joined_at_once_and_the_collector_passes_over_what_stays():
    aside_bytes, frozen = freed_a_tree("prepared")
    assert aside_bytes == 0
    assert frozen > 10_000


def test_the_collector_passes_over_nothing_before():
    _, frozen = freed_a_tree()
    assert frozen == 0
