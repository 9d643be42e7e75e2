"""A visit to the hostile web: one process serves it, one suffers it, and what came of it is judged here."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crawl_dev.errors import ServersError
from crawl_dev.hostile.hazards import HAZARDS
from crawl_dev.hostile.visitor import Cost
from crawl_dev.hostile.web import hostile_web
from crawl_dev.process import same_modules

#: CPU seconds that one visit may cost: no hazard costs a tenth of it on a machine of today, and what grows with the
#: square of a page's length costs hours.
MOST_CPU_S = 60.0
#: What the visitor may take above what it takes for an ordinary page.
MOST_RSS_BYTES = 300 << 20


@dataclass(frozen=True, slots=True)
class Visited:
    """What became of one hazard.

    Attributes:
        cost: what its visits came to.
        above_base_bytes: the process' peak above what it takes for an ordinary page.
        problems: what is not as it must be; none: all is well.
    """

    cost: Cost
    above_base_bytes: int
    problems: tuple[str, ...]


def visits(names: Sequence[str], times: int) -> Iterator[Visited]:
    """Visit hazards, each so many times; gives each when it is over.

    Raises:
        ServersError: the visitor died, which is what must not happen.
    """
    with hostile_web() as origin:
        command = [sys.executable, "-m", "crawl_dev.hostile.visitor", origin, str(times), *names]
        with subprocess.Popen(command, env=same_modules(), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                base_bytes = json.loads(process.stdout.readline() or "{}").get("base_rss_bytes", 0)
                for line in process.stdout:
                    cost = Cost(**json.loads(line))
                    above_bytes = cost.peak_rss_bytes - base_bytes
                    yield Visited(cost, above_bytes, tuple(_problems(cost, above_bytes)))
                if process.wait():
                    raise ServersError(f"the visitor ended with {process.returncode}")
            finally:
                process.kill()


def _problems(cost: Cost, above_bytes: int) -> Iterator[str]:
    hazard = HAZARDS[cost.hazard]
    if not set(cost.outcomes) <= {hazard.outcome, hazard.or_else}:
        yield f"{cost.outcomes} instead of {hazard.outcome}"
    if not all(hazard.why in why for why in cost.whys) or (hazard.why and not cost.whys):
        yield f"{cost.whys} instead of {hazard.why!r}"
    if hazard.links and cost.links is not None and cost.links < hazard.links:
        yield f"{cost.links} links instead of {hazard.links}"
    if cost.most_cpu_s > MOST_CPU_S:
        yield f"{cost.most_cpu_s:.1f} CPU seconds"
    if above_bytes > MOST_RSS_BYTES:
        yield f"{above_bytes >> 20} MiB above the ordinary"
