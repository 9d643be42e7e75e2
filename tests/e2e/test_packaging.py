"""The wheel as a user gets it: built, installed into a bare environment, every command started."""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packaging")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    pip = [folder / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


def run(bare, *command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CRAWL_", "PYTHON"))}
    return subprocess.run(
        [bare / "venv" / "bin" / command[0], *command[1:]],
        capture_output=True, text=True, cwd=bare, env=environment, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_starts(bare, command):
    done = run(bare, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: {command}" in done.stdout


def test_the_packaged_topology_is_found_where_there_is_no_other(bare):
    done = run(bare, "crawl-topology", "check")
    assert done.returncode == 0, done.stderr
    assert "crawl_producer/exchanges.yaml" in done.stdout + done.stderr


def test_the_packages_say_that_they_are_typed(bare):
    for package in ("crawl_dedup", "crawl_producer", "crawl_consumer"):
        assert list(bare.glob(f"venv/lib/python3*/site-packages/{package}/py.typed"))
