"""No version with a known advisory is installed or allowed, and the check would see one."""

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from crawl_dev import advisories

FLOORS, NONE_KNOWN = advisories.read(tomllib.loads(advisories.TABLE.read_text()))


def problems(required=(), installed=()):
    wanted = {name: [Requirement(text)] for name, text in dict(required).items()}
    here = {name: Version(text) for name, text in dict(installed).items()}
    return list(advisories.problems(FLOORS, NONE_KNOWN, wanted, here))


def test_nothing_with_a_known_advisory_is_installed_or_allowed(capsys):
    assert advisories.main() == 0, capsys.readouterr().err
    assert "0 problems" in capsys.readouterr().out


def test_an_old_release_that_is_installed_is_a_problem_with_its_advisories():
    (problem,) = problems(installed={"aiohttp": "3.14.2"})
    assert problem.startswith("aiohttp 3.14.2 is installed; aiohttp 3.14.3 is the first without")
    assert "CVE-2025-69223" in problem
    assert problems(installed={"aiohttp": "3.14.3", "lxml": "7.0.0a1"}) == []


@pytest.mark.parametrize("bound", ["lxml", "lxml>=6", "lxml>=6.1.0,<7", "lxml~=6.0", "lxml==6.1.0", "lxml[html]<7"])
def test_a_bound_that_allows_an_old_release_is_a_problem(bound):
    (problem,) = problems({"lxml": bound})
    assert problem.startswith(f"pyproject.toml allows {Requirement(bound)}; lxml 6.1.1 is the first without")


def test_a_bound_at_the_floor_is_none():
    assert problems({"lxml": "lxml>=6.1.1", "pika": "pika"}) == []


def test_a_dependency_that_nobody_has_looked_up_is_a_problem():
    assert problems({"newcomer": "newcomer>=1"}) == ["newcomer is not in advisories.toml: look up its advisories"]


def test_every_dependency_and_every_extra_is_looked_at():
    project = {
        "name": "Our.App",
        "dependencies": ["Py_YAML>=6", "a>=1; python_version < '3.14'"],
        "optional-dependencies": {"x": ["our-app[y]", "a>=2"]},
    }
    required = advisories.direct({"project": project})
    assert {name: [str(advisories.lowest(one)) for one in found] for name, found in required.items()} == {
        "py-yaml": ["6"],
        "a": ["1", "2"],
    }
    assert not FLOORS.keys() & NONE_KNOWN
