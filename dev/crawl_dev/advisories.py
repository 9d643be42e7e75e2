"""Whether a version with a known advisory is installed or allowed: ``python -m crawl_dev.advisories``, offline.

``dev/advisories.toml`` holds what is known; ``make audit`` asks those who know more.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "dev" / "advisories.toml"
#: Bounds that say from which release on a package is allowed.
_LOWER = frozenset({">=", "==", "~="})


@dataclass(frozen=True, slots=True)
class Floor:
    """The first release of a package without these advisories."""

    package: str
    release: Version
    why: str
    ids: Sequence[str]

    def __str__(self) -> str:
        return f"{self.package} {self.release} is the first without {', '.join(self.ids)} ({self.why})"


def read(table: Mapping[str, Any]) -> tuple[dict[str, Floor], frozenset[str]]:
    """The floors by normalised name, and the packages of which no advisory is known."""
    floors: dict[str, Floor] = {
        canonicalize_name(name): Floor(name, Version(said["floor"]), said["why"], tuple(said["ids"]))
        for name, said in table.items()
        if isinstance(said, dict)
    }
    return floors, frozenset(map(canonicalize_name, table["none_known"]))


def direct(project: Mapping[str, Any]) -> dict[str, list[Requirement]]:
    """What a pyproject.toml asks its users to install, by normalised name; extras of its own are left out."""
    fields = project["project"]
    lists = [fields["dependencies"], *fields["optional-dependencies"].values()]
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, (text for texts in lists for text in texts)):
        if (name := canonicalize_name(requirement.name)) != canonicalize_name(fields["name"]):
            found.setdefault(name, []).append(requirement)
    return found


def lowest(requirement: Requirement) -> Version:
    """The lowest release that it allows; 0 without a lower bound."""
    return max(
        (Version(bound.version) for bound in requirement.specifier if bound.operator in _LOWER), default=Version("0")
    )


def problems(
    floors: Mapping[str, Floor],
    none_known: frozenset[str],
    required: Mapping[str, Sequence[Requirement]],
    installed: Mapping[str, Version],
) -> Iterator[str]:
    """What is below a floor, or was never looked up."""
    for name, requirements in required.items():
        if name not in floors and name not in none_known:
            yield f"{name} is not in {TABLE.name}: look up its advisories"
        for requirement in requirements:
            if name in floors and lowest(requirement) < floors[name].release:
                yield f"pyproject.toml allows {requirement}; {floors[name]}"
    for name, release in installed.items():
        if release < floors[name].release:
            yield f"{name} {release} is installed; {floors[name]}"


def installed_of(floors: Mapping[str, Floor]) -> dict[str, Version]:
    """The releases that are here, of packages with a floor."""
    found = {}
    for name in floors:
        try:
            found[name] = Version(version(name))
        except PackageNotFoundError:
            continue  # an extra that nobody asked for
    return found


def main() -> int:
    """Run the command; 0 if there is no problem, 1 if there is one."""
    floors, none_known = read(tomllib.loads(TABLE.read_text()))
    required = direct(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    installed = installed_of(floors)
    found = list(problems(floors, none_known, required, installed))
    for problem in found:
        print(f"advisories: {problem}", file=sys.stderr)
    ids = sum(len(floor.ids) for floor in floors.values())
    print(f"advisories: {ids} of {len(floors)} packages, {len(installed)} of them installed, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
