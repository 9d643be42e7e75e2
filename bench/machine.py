"""The machine and the versions that figures belong to, in a few lines."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from crawl_dev import installed
from crawl_dev.servers import Servers

#: Ours that count for speed.
PACKAGES = ("crawlmq", "aiohttp", "lxml", "pika", "redis", "uvloop", "ada-url")
#: At a load average above this the machine had other things to do: figures are noise. What has just been installed
#: leaves some behind.
IDLE_LOAD = 1.0
#: What the yardstick adds up.
ADDITIONS = 10_000_000


def load() -> float:
    """How busy the machine was in the last minute; to be asked before anything is started."""
    return os.getloadavg()[0]


def additions_s() -> float:
    """How long ten million additions take by the clock: how fast the machine is just now, and its host lets it be."""
    began_s, total = time.monotonic(), 0
    for n in range(ADDITIONS):
        total += n
    return time.monotonic() - began_s


def described(servers: Servers, load_before: float) -> list[str]:
    """Lines of Markdown: when, on what, with what."""
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    redis = _said([str(installed.program("redis-server")), "--version"], r"v=(\S+)")
    nginx = _said([str(installed.program("nginx")), "-v"], r"nginx/(\S+)")
    return [
        f"Measured on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores ({_cpu()}), {_memory_gib():.0f} GiB,"
        f" {release}, load average {load_before:.2f} before the first run"
        + (" (**not idle**: read these figures as noise)" if load_before > IDLE_LOAD else "")
        + f"; ten million additions in Python took {additions_s():.2f} s.",
        f"Python {platform.python_version()}, RabbitMQ {servers.rabbit.ctl('version').strip()}, Redis {redis},"
        f" nginx {nginx}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES) + ".",
    ]


def pinned(requirements: Path, names: Sequence[str]) -> str:
    """The versions of these packages, as the requirements file pins them."""
    pins = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)", requirements.read_text(), re.MULTILINE))
    return ", ".join(f"{name} {pins[name]}" for name in names)


def _said(command: Sequence[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
