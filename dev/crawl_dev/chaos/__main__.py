"""The command ``python -m crawl_dev.chaos``: private servers, every fault in turn, a table."""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import asdict

from crawl_dev.chaos.recipe import Recipe
from crawl_dev.chaos.recipes import RECIPES
from crawl_dev.chaos.report import Progress, Row, row, table
from crawl_dev.chaos.run import rounds
from crawl_dev.chaos.world import Broker
from crawl_dev.errors import ServersError
from crawl_dev.servers import PrivateServers

#: Seeds are chosen below this, so that they are easily typed.
_SEEDS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if no oracle complains, 1 if one does."""
    asked = _parser().parse_args(arguments)
    chosen = [recipe for recipe in RECIPES if not asked.fault or recipe.name in asked.fault]
    progress = Progress()
    rows = []
    try:
        for recipe in chosen:
            rows.append(_row(recipe.quick() if asked.quick else recipe, asked.seed, progress))
            progress.end()
            print(table(rows[-1:]), file=sys.stderr, flush=True)
    except ServersError as error:
        progress.end()
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps([asdict(one) for one in rows], indent=2) if asked.json else f"\n{table(rows)}")
    return 0 if all(one.passed for one in rows) else 1


def _row(recipe: Recipe, seed: int | None, progress: Progress) -> Row:
    first = secrets.randbelow(_SEEDS) if seed is None else seed
    print(f"{recipe.name}: {recipe.about} (--fault {recipe.name} --seed {first})", file=sys.stderr, flush=True)
    with PrivateServers(
        recipe.nodes,
        replicated=recipe.replicated,
        rabbit_settings=recipe.rabbit_settings,
        redis_settings=recipe.redis_settings,
    ) as servers:
        redis = servers.replicated if recipe.replicated else servers.redis
        done = asyncio.run(rounds(recipe, Broker(servers.rabbit, redis, "/"), first, progress))
    return row(recipe, done)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crawl_dev.chaos",
        description="Break things while a site is crawled whose every page is known in advance.",
        epilog="faults: " + "; ".join(f"{recipe.name} ({recipe.about})" for recipe in RECIPES),
    )
    names = [recipe.name for recipe in RECIPES]
    parser.add_argument("--fault", action="append", choices=names, metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer faults, smaller sites")
    parser.add_argument("--seed", type=int, help="repeat a run: the seed that it printed")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
