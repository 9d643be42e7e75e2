"""Print what the model finds: ``PYTHONPATH=tests python -m model``."""

from model.explorer import explore
from model.scenarios import SMALL, UNSAFE


def main() -> None:
    for scenario in SMALL:
        found = explore(scenario.site, scenario.faults, seeded=scenario.seeded)
        print(f"{scenario}: {found.states} states, {found.good_ends} good ends, {found.max_fetches} fetches at most")
    for unsafe in UNSAFE:
        found = explore(
            unsafe.site, unsafe.faults, frozenset({unsafe.flaw}), seeded=unsafe.seeded, safety=unsafe.safety
        )
        print(f"\n{unsafe.flaw.value} ({unsafe.faults}):\n{found.counterexample}")


if __name__ == "__main__":
    main()
