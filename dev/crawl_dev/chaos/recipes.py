"""The registry: every fault that ``make chaos`` injects, in the order of the table."""

from crawl_dev.chaos import disk, kills, stops
from crawl_dev.chaos.consumers import Crowd
from crawl_dev.chaos.recipe import Recipe

#: crawl-consumer's exit code when it cannot write its items (docs/commands.md).
_OUTPUT_NOT_WRITABLE = 12

RECIPES = (
    Recipe(
        name="kill",
        about="kill -9 of random consumers",
        inject=kills.kill_consumers,
        times=300,
        quick_times=12,
        counts=("kill",),
        pages=5000,
        pause_s=0.1,
        crowd=Crowd(6),
    ),
    Recipe(
        name="freeze",
        about="SIGSTOP of two consumers beyond heartbeat and lease, then SIGCONT",
        inject=stops.freeze_consumers,
        times=12,
        quick_times=2,
        counts=("freeze",),
        pages=4000,
        pause_s=0.1,
    ),
    Recipe(
        name="terminate",
        about="SIGTERM to random consumers",
        inject=kills.terminate_consumers,
        times=40,
        quick_times=6,
        counts=("terminate",),
        pages=4000,
    ),
    Recipe(
        name="supervisor",
        about="kill -9 of supervised processes, and of supervisors",
        inject=kills.kill_children,
        times=24,
        quick_times=5,
        counts=("kill child", "kill"),
        pages=4000,
        pause_s=0.1,
        crowd=Crowd(2, options=("--processes", "3")),
    ),
    Recipe(
        name="seeder",
        about="kill -9 of the seeder, then the same again",
        inject=kills.nothing_more,
        times=8,
        quick_times=2,
        counts=("kill seeder",),
        pages=8000,
        pause_s=0,
        seeding=kills.seed_and_kill,
        exact=False,
    ),
    Recipe(
        name="full-queue",
        about="a queue of 50 that refuses more, and kill -9",
        inject=kills.kill_consumers,
        times=20,
        quick_times=5,
        counts=("kill",),
        pages=2000,
        queue={"max_length": 50},
    ),
    Recipe(
        name="disk-full",
        about="no space under the output, until there is again",
        inject=disk.fill_disk,
        times=8,
        quick_times=2,
        counts=("disk full",),
        pages=6000,
        seeding=disk.seed_beside_a_small_disk,
        may_end_with=frozenset({_OUTPUT_NOT_WRITABLE}),
    ),
)
