"""Where one consumer's time goes: a tree of the calls of a crawl of the Python manual, printed and kept in a file.

Run it with ``make profile``. It is sampled a thousand times a second, which costs about a tenth of the speed.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from measured import copies
from pyinstrument import Profiler
from pyinstrument.renderers import ConsoleRenderer
from quick import Contest, manual

from crawl_consumer.cli.consumer import main as consumer
from crawl_dev.servers import PrivateServers
from crawl_dev.site import StaticSite

INTERVAL_S = 0.001
#: Below this share of the whole a call is not worth a line.
SHARE_PERCENT = 0.8


def consume(output: Path, arguments: list[str]) -> None:
    """In the child: be ``crawl-consumer`` under the profiler."""
    sys.argv = ["crawl-consumer", *arguments]
    profiler = Profiler(INTERVAL_S, async_mode="disabled")
    profiler.start()
    try:
        consumer()
    finally:
        session = profiler.stop()
        renderer = ConsoleRenderer(unicode=True, processor_options={"filter_threshold": SHARE_PERCENT / 100})
        output.write_text(renderer.render(session))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=4, help="of the Python manual, 529 URLs each")
    parser.add_argument("--file", type=Path, default=Path("profile.txt"), help="where the tree goes")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawl-bench-")))
        site = stack.enter_context(StaticSite(stack.enter_context(copies(manual(), options.copies))))
        servers = stack.enter_context(PrivateServers(1))
        contest = Contest(site, servers, folder, rounds=1)
        contest.program = [sys.executable, __file__, "consume", str(options.file.resolve())]
        done = contest.consumer("round0", "")
    print(options.file.read_text())
    print(f"{done.requests} pages, {done.pages_per_s:.0f} pages/s while it was profiled; kept in {options.file}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["consume"]:
        consume(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
