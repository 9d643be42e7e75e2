"""Finding exchanges.yaml and reading it into a Topology, with every mistake in it named at once."""

import importlib.resources
import logging
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from crawl_producer import topology_checks, topology_item_checks
from crawl_producer.errors import TopologyInvalid
from crawl_producer.topology import Topology
from crawl_producer.topology_problems import problems
from crawl_producer.topology_yaml import Document, Problem, parse
from crawl_producer.topology_yaml import Path as KeyPath

log = logging.getLogger(__name__)

#: A topology of a thousand queues has about 100 KB; whatever is larger is some other file.
MAX_FILE_BYTES = 1 << 20
#: The name that is looked for in the current directory and in the package.
FILE_NAME = "exchanges.yaml"
#: The rule by which the package's own file is chosen: nobody has written one for this folder.
PACKAGED = "packaged default"

_REMEDY = "mend the file; `crawl-topology check` reads it again without touching RabbitMQ"


@dataclass(frozen=True, slots=True)
class Found:
    """A topology file, and by which rule it was chosen."""

    path: Path
    chosen_by: str


def find(option: Path | None = None, variable: Path | None = None) -> Found:
    """Choose the topology file: ``--topology``, ``CRAWL_TOPOLOGY``, the current directory, the package.

    Args:
        option: the value of ``--topology``.
        variable: the value of ``CRAWL_TOPOLOGY``.

    Raises:
        TopologyInvalid: there is none at all.
    """
    if option is not None:
        return Found(option, "--topology")
    if variable is not None:
        return Found(variable, "CRAWL_TOPOLOGY")
    package = Path(str(importlib.resources.files("crawl_producer")))
    # An editable install has no copy in the package: there the file stands at the repository's root.
    places = (
        Found(Path(FILE_NAME), "current directory"),
        Found(package / FILE_NAME, PACKAGED),
        Found(package.parents[1] / FILE_NAME, PACKAGED),
    )
    for place in places:
        if place.path.is_file():
            return place
    remedy = "write one, or name one with --topology or CRAWL_TOPOLOGY"
    raise TopologyInvalid(f"there is no {FILE_NAME}", remedy=remedy)


def load(found: Found) -> Topology:
    """Read and validate a topology file.

    Raises:
        TopologyInvalid: unreadable, not YAML or wrong; a line for each mistake with file, line and key path.
    """
    log.info("topology: %s (%s)", found.path, found.chosen_by)
    return parse_topology(_text(found.path), str(found.path))


def parse_topology(text: str, file: str) -> Topology:
    """Validate a topology file's text; ``file`` is its name in messages.

    Raises:
        TopologyInvalid: see :func:`load`.
    """
    document = parse(text)
    if document.problems:
        raise _invalid(document, document.problems, file)
    if document.data is None:
        raise _invalid(document, (Problem("empty", "it needs exchanges, queues and crawls"),), file)
    try:
        topology = Topology.model_validate(document.data)
    except ValidationError as error:
        raise _invalid(document, tuple(problems(error, Topology)), file) from None
    if wrong := tuple(dict.fromkeys([*topology_checks.check(topology), *topology_item_checks.check(topology)])):
        raise _invalid(document, wrong, file)
    return topology


def place(file: Path, path: KeyPath) -> str:
    """Where a key of a valid topology file stands, as ``file:line``, for errors that are found later."""
    line = parse(_text(file)).line(path)
    return f"{file}:{line}" if line else str(file)


def _text(path: Path) -> str:
    remedy = "name a readable file with --topology or CRAWL_TOPOLOGY"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TopologyInvalid(f"{path}: {error.strerror or error}", remedy=remedy) from error
    if len(content) > MAX_FILE_BYTES:
        raise TopologyInvalid(f"{path}: larger than {MAX_FILE_BYTES} bytes", remedy=remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TopologyInvalid(f"{path}:{line}: not UTF-8 text", remedy="save the file as UTF-8") from error


def _invalid(document: Document, found: tuple[Problem, ...], file: str) -> TopologyInvalid:
    placed = [replace(p, line=p.line or document.line(p.path)) for p in found]
    lines = [_line(problem, file) for problem in sorted(placed, key=lambda p: p.line or 0)]
    if len(lines) > 1:
        lines.insert(0, f"{len(lines)} mistakes in {file}")
    return TopologyInvalid("\n".join(lines), remedy=_REMEDY)


def _line(problem: Problem, file: str) -> str:
    where = f"{file}:{problem.line}" if problem.line else file
    path = ".".join(str(part) for part in problem.path)
    said = f"{problem.text}; {problem.remedy}" if problem.remedy else problem.text
    return ": ".join(part for part in (where, path, said) if part)
