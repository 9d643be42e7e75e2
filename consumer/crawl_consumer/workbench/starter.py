"""A project to begin with: a spider, its topology and a test that passes, written into a new folder."""

import re
import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from crawl_consumer.errors import StarterRefused
from crawl_producer.topology_file import FILE_NAME, parse_topology

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_SUFFIX = ".template"


def spider_name(name: str) -> str:
    """The class of the project's spider."""
    return "".join(part.capitalize() for part in re.split(r"[-_]+", name)) + "Spider"


def write_project(name: str, folder: Path, url: str) -> tuple[Path, ...]:
    """Write the project called ``name`` into ``folder``, which must be new or empty; returns its files.

    Args:
        name: of the crawl.
        folder: made, with those above it.
        url: a page to begin with.

    Raises:
        StarterRefused: the name is none, the folder holds something, or cannot be written.
        TopologyInvalid: the name is taken by the plumbing.
    """
    if not _NAME.fullmatch(name):
        raise StarterRefused(
            f"{name!r} is no name for a crawl", remedy="small letters, digits, - and _, a letter first"
        )
    values = {"name": name, "spider": spider_name(name), "url": url, "quoted_url": shlex.quote(url)}
    texts = _texts(files("crawl_consumer.workbench") / "starter", values)
    parse_topology(texts[FILE_NAME], FILE_NAME)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise StarterRefused(f"{folder} is not empty", remedy="choose another name, or move it away")
        return tuple(_written(folder / path, text) for path, text in texts.items())
    except OSError as error:
        raise StarterRefused(f"{folder}: {error.strerror}", remedy="name a folder that can be written") from error


def _texts(place: Traversable, values: dict[str, str], above: str = "") -> dict[str, str]:
    """Every template's text by the path of its file, with the values put in."""
    texts: dict[str, str] = {}
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            texts |= _texts(entry, values, f"{above}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            texts[above + entry.name.removesuffix(_SUFFIX)] = Template(entry.read_text("utf-8")).substitute(values)
    return texts


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
