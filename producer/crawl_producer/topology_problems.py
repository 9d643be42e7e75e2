"""pydantic's errors about exchanges.yaml, retold for the person who writes the file."""

import difflib
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crawl_producer.topology_yaml import Path, Problem

#: What pydantic appends to the place of an error when a mapping's key, not its value, is wrong.
_IN_THE_KEY = "[key]"

#: YAML's own reading of a value that was meant as text; longer types are no slips of the pen.
_YAML_WORDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}

#: Kinds of error whose text and remedy are the same wherever they are.
_PLAIN = {
    "string_pattern_mismatch": ("not a name", "names are letters, digits and . _ : -"),
    "model_type": ("must be a mapping", "write lines of 'key: value', indented, or {key: value}"),
    "dict_type": ("must be a mapping", "write lines of 'key: value', indented, or {key: value}"),
    "tuple_type": ("must be a list", "write [a, b], or one line '- a' for each"),
    "too_short": ("must not be empty", "give at least one"),
}


def problems(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """One problem for each thing that pydantic found, in the file's words and without any secret's value."""
    details = error.errors(include_url=False)
    for detail in details:
        # A list whose every item is broken is reported as too short as well.
        if detail["type"] != "too_short" or not detail["input"]:
            yield _problem(detail, model)


def nearest(word: object, known: Iterable[str], what: str) -> str:
    """A remedy for a word that is not among ``known``: the most similar one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(str(word), names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{what}: {', '.join(names)}" if names else f"there are no {what} yet"


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    path: Path = tuple(part for part in detail["loc"] if part != _IN_THE_KEY)
    match detail["type"]:
        case "missing":
            return Problem("missing", f"add {path[-1]!r}", path)
        case "extra_forbidden":
            known = _known_keys(model, path[:-1])
            return Problem("unknown key", nearest(path[-1], known, "keys known here"), path)
        case "literal_error":
            return Problem(f"must be {detail['ctx']['expected']}", _nearest_choice(detail), path)
        case "string_type":
            return _not_text(detail["input"], path)
        case kind if kind in _PLAIN:
            return Problem(*_PLAIN[kind], path)
    return _as_pydantic_says(detail["msg"], path)


def _as_pydantic_says(message: str, path: Path) -> Problem:
    text = message.removeprefix("Value error, ").replace("Input should be", "must be")
    what, _, remedy = text.partition("; ")
    return Problem(what, remedy, path)


def _not_text(value: object, path: Path) -> Problem:
    if value is None:
        return Problem("empty", "give it a value; one that begins with # or * needs quotes", path)
    read_as = _YAML_WORDS.get(type(value), "a date or the like")
    if isinstance(value, list | dict):
        return Problem(f"must be text, not {read_as}", "write one value", path)
    return Problem(f"must be text, but YAML reads {read_as}", "put it in quotes", path)


def _nearest_choice(detail: ErrorDetails) -> str:
    choices = detail["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    close = difflib.get_close_matches(str(detail["input"]), choices, n=1)
    return f"did you mean {close[0]!r}?" if close else "write one of these"


def _known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    annotation: Any = model
    for part in path:
        annotation = _inside(annotation, part)
    return tuple([field.alias or name for name, field in annotation.model_fields.items()])


def _inside(annotation: Any, part: str | int) -> Any:
    """The type of what stands under ``part`` in a value of the type ``annotation``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _bare(annotation.model_fields[str(part)].annotation)
    arguments = get_args(annotation)
    return _bare(arguments[1] if get_origin(annotation) is dict else arguments[0])


def _bare(annotation: Any) -> Any:
    """``annotation`` without ``| None`` and ``Annotated``."""
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(choice for choice in get_args(annotation) if choice is not types.NoneType))
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    return annotation
