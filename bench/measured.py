"""One run of one contender, measured from outside: the site's log for the rate, the system's books for the cost.

The rate counts from the first answer to the last, as the site has logged them, so nobody's start-up is in it.
A process's CPU seconds include its start-up; that of a run over a single page is taken off for everybody.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from crawl_dev.process import ServerProcess
from crawl_dev.site import StaticSite

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run did and cost.

    Attributes:
        paths: everything that was asked for, robots.txt left out.
        requests: how often.
        seconds: from the first answer to the last.
        cpu_s: of the contender's own process and its children.
        servers_cpu_s: of each server meanwhile, by its name.
    """

    paths: frozenset[str]
    requests: int
    seconds: float
    cpu_s: float
    servers_cpu_s: Mapping[str, float]

    @property
    def pages_per_s(self) -> float:
        return len(self.paths) / self.seconds


@contextmanager
def copies(site: Path, number: int) -> Iterator[Path]:
    """A folder that serves ``site`` so many times, below a start page; and ``/single/``, a page without links."""
    with TemporaryDirectory(prefix="crawl-bench-site-") as name:
        folder = Path(name)
        for n in range(number):
            (folder / f"copy{n}").symlink_to(site)
        hrefs = "".join(f'<a href="copy{n}/index.html">{n}</a>' for n in range(number))
        (folder / "index.html").write_text(f"<!doctype html><title>Copies</title>{hrefs}")
        (folder / "single").mkdir()
        (folder / "single" / "index.html").write_text("<!doctype html><title>Single</title>")
        yield folder


def run(
    command: Sequence[str | Path], site: StaticSite, servers: Sequence[ServerProcess] = (), **environment: str
) -> Run:
    """Run a contender to its end."""
    seen = len(site.request_log())
    before = {server.name: cpu_s(server.pid) for server in servers}
    child = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} ended with {child.returncode}")
    log = [request for request in site.request_log()[seen:] if request.path != "/robots.txt"]
    ends = [request.ended_s for request in log]
    return Run(
        frozenset(request.path for request in log),
        len(log),
        max(ends) - min(ends),
        used.ru_utime + used.ru_stime,
        {server.name: cpu_s(server.pid) - before[server.name] for server in servers},
    )


def cpu_s(pid: int) -> float:
    """CPU seconds of a living process and its living children, threads included (proc(5), stat, fields 14 and 15)."""
    process = Path(f"/proc/{pid}")
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        children = (process / "task" / str(pid) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # RabbitMQ asks short-lived children about disk and memory
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S + sum(cpu_s(int(child)) for child in children)
