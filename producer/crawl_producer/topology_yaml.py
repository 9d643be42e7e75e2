"""YAML text as plain data that still knows its lines, with every key given once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

#: Where in the file: keys of mappings and places in lists, from the outside in.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the file.

    Attributes:
        text: what is wrong.
        remedy: what would be right.
        path: the keys that lead to it; empty for the file as a whole.
        line: counted from 1; None where it is not known.
    """

    text: str
    remedy: str
    path: Path = ()
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where it says it."""

    data: Any
    problems: tuple[Problem, ...] = ()
    root: yaml.Node | None = None

    def line(self, path: Path) -> int | None:
        """The line of the key that ``path`` leads to, or of the last part of the path that the file has."""
        node, line = self.root, None
        for part in path:
            entry = _entry(node, part)
            if entry is None:
                break
            line, node = entry
        return line


def parse(text: str) -> Document:
    """Read one YAML document with the safe loader: plain data, no Python objects.

    Returns:
        The document; when ``problems`` are not empty its data must not be used.
    """
    try:
        return _read(yaml.SafeLoader(text))
    except yaml.MarkedYAMLError as error:
        return Document(None, (_syntax_problem(error),))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Document(None, (Problem(f"unreadable character: {error.reason}", "remove it", line=line),))
    except ValueError as error:
        return Document(None, (Problem(f"unreadable number or date: {error}", "put the value in quotes"),))
    except RecursionError:
        return Document(None, (Problem("nested too deeply", "this file needs no more than six levels"),))


def _read(loader: yaml.SafeLoader) -> Document:
    root = loader.get_single_node()
    if root is None:
        return Document(None)
    # Before anything is built: building copies merged keys (<<) into mappings that may give them anew.
    repeated = tuple(_repeated_keys(root))
    return Document(loader.construct_document(root), repeated, root)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    remedy = "check the indentation (spaces only) and put values that begin with one of * & ! % @ # in quotes"
    return Problem(f"not YAML: {said}", remedy, line=mark.line + 1 if mark else None)


def _repeated_keys(root: yaml.Node) -> Iterator[Problem]:
    """YAML parsers keep the last of two equal keys in silence, which would drop a queue."""
    for path, mapping in _mappings(root, (), set()):
        first_lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            identity = (key.tag, str(key.value))
            line = key.start_mark.line + 1
            if identity in first_lines:
                text = f"the key stands twice; first in line {first_lines[identity]}"
                yield Problem(text, "keep one of the two", (*path, str(key.value)), line)
            first_lines.setdefault(identity, line)


def _mappings(node: yaml.Node, path: Path, seen: set[int]) -> Iterator[tuple[Path, yaml.MappingNode]]:
    # An alias leads to a node that was here before, even to one that holds itself.
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield path, node
        for key, value in node.value:
            yield from _mappings(value, (*path, str(key.value)), seen)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _mappings(value, (*path, place), seen)


def _entry(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value.start_mark.line + 1, value
    if isinstance(node, yaml.MappingNode):
        # From the end: a merge (<<) puts what it brings before the mapping's own keys, which win.
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key.start_mark.line + 1, value
    return None
