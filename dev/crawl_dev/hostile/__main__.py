"""The command ``python -m crawl_dev.hostile``: every hazard many times, and a table of what each cost."""

import argparse
import sys
from collections.abc import Sequence

from crawl_dev.errors import ServersError
from crawl_dev.hostile.hazards import HAZARDS
from crawl_dev.hostile.visits import Visited, visits

_MIB = 1 << 20
_HEAD = f"{'hazard':26} {'outcome':18} {'visits':>6} {'longest':>9} {'CPU/visit':>10} {'most CPU':>9} {'peak RSS':>9}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every hazard does no harm, 1 if one does."""
    asked = _parser().parse_args(arguments)
    names = [name for name in HAZARDS if not asked.hazard or name in asked.hazard]
    failed = 0
    print(_HEAD, flush=True)
    try:
        for visited in visits(names, asked.times):
            failed += bool(visited.problems)
            print(_row(visited), flush=True)
    except ServersError as error:
        print(f"hostile: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{len(names)} hazards, {failed} do harm (RSS: above what the process takes for an ordinary page)")
    return 1 if failed else 0


def _row(visited: Visited) -> str:
    cost = visited.cost
    count = sum(cost.outcomes.values())
    row = (
        f"{cost.hazard:26} {'/'.join(cost.outcomes):18} {count:>6} {cost.longest_s:>7.2f} s"
        f" {cost.cpu_s / count:>8.3f} s {cost.most_cpu_s:>7.3f} s {visited.above_base_bytes / _MIB:>5.0f} MiB"
    )
    return row + "".join(f"\n  WRONG: {problem}" for problem in visited.problems)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crawl_dev.hostile",
        description="Visit every page of a hostile web and measure what it costs.",
        epilog="examples: python -m crawl_dev.hostile --times 3; python -m crawl_dev.hostile --hazard bomb-br",
    )
    parser.add_argument("--times", type=int, default=100, metavar="N", help="visits to each hazard (100)")
    parser.add_argument(
        "--hazard", action="append", choices=sorted(HAZARDS), metavar="NAME", help="only this one; repeatable"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
