"""What is set for the heap holds in the C library, which is asked itself."""

import ctypes
import platform
import subprocess
import sys

import pytest

#: Frees a tree, and prints the bytes that glibc keeps aside in its lists of small chunks (mallinfo2(3)), and how many
#: objects the collector passes over.
FREED_A_TREE = """
import ctypes, gc, sys
from lxml import etree
from crawl_producer import heap

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
if "prepared" in sys.argv:
    heap.prepare()
etree.HTML("<p>text</p>" * 200)
print(mallinfo2().fsmblks, gc.get_freeze_count())
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc since 2.33 tells"
)


def freed_a_tree(*arguments: str) -> tuple[int, int]:
    command = [sys.executable, "-c", FREED_A_TREE, *arguments]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    aside_bytes, frozen = map(int, told.split())
    return aside_bytes, frozen


def test_small_chunks_are_joined_at_once_and_the_collector_passes_over_what_stays():
    aside_bytes, frozen = freed_a_tree("prepared")
    assert aside_bytes == 0
    assert frozen > 10_000


def test_otherwise_they_are_kept_aside():
    aside_bytes, frozen = freed_a_tree()
    assert aside_bytes > 0
    assert frozen == 0
