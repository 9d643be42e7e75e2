"""Finding a spider: ``module:Class`` in the user's own folder, or the name of one that a package has brought along."""

import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spiders.base import Spider
from crawl_consumer.spiders.checking import check

#: Packages say under this name which spiders they bring: ``[project.entry-points."crawl.spiders"]``.
ENTRY_POINTS = "crawl.spiders"


def load_spider(name: str, settings: Mapping[str, object] | None = None) -> Spider:
    """An instance of the spider of this name.

    Args:
        name: ``module:Class``, where the working folder is looked in first; or what an installed package calls it.
        settings: for the class' ``Settings``.

    Raises:
        SpiderInvalid: there is none, its settings are wrong, or importing or making it failed.
    """
    kind = spider_class(name)
    try:
        return make(kind, name, settings)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise SpiderInvalid(f"settings of {name}: {said}", remedy=f"see {kind.__qualname__}.Settings") from None


def spider_class(name: str) -> type[Spider]:
    """The class of this name; see :func:`load_spider`."""
    if ":" not in name:
        name = _installed(name)
    module_name, _, class_name = name.partition(":")
    if not (module_name and class_name):
        raise _nameless(name)
    spiders = _spiders_of(module_name)
    if class_name not in spiders:
        there = ", ".join(f"{module_name}:{key}" for key, known in spiders.items() if known is not Spider)
        remedy = f"there is {there}" if there else "write a class there: class Headlines(crawl_consumer.Spider)"
        raise SpiderInvalid(f"module {module_name!r} has no spider {class_name!r}", remedy=remedy)
    return spiders[class_name]


def make(kind: type[Spider], name: str, settings: Mapping[str, Any] | None) -> Spider:
    """An instance whose settings were read before its constructor runs.

    Raises:
        ValidationError: of the settings.
        SpiderInvalid: the constructor or a rule failed; ``name`` is in the message.
    """
    read = _read(kind.Settings, settings or {})
    try:
        spider = kind.__new__(kind)
        spider.settings = read
        spider.__init__()  # type: ignore[misc]  # the instance is ours, and not made yet
    except Exception as error:
        raise SpiderInvalid(f"{name} cannot be made: {error!r}", remedy="it is called without arguments") from error
    check(spider)
    return spider


def _read(model: type[BaseModel], settings: Mapping[str, Any]) -> BaseModel:
    """The settings; a key that nobody knows is an error, unless the model says what else it wants to do with it."""
    read = model.model_validate(settings)
    known = {name for key, field in model.model_fields.items() for name in (key, field.alias, field.validation_alias)}
    if "extra" not in model.model_config and (unknown := settings.keys() - known):
        errors: list[InitErrorDetails] = [
            {"type": "extra_forbidden", "loc": (key,), "input": settings[key]} for key in sorted(unknown)
        ]
        raise ValidationError.from_exception_data(model.__name__, errors)
    return read


def _installed(name: str) -> str:
    """What an entry point of this name leads to, as ``module:Class``."""
    found = entry_points(group=ENTRY_POINTS)
    for point in found:
        if point.name == name:
            return f"{point.module}:{point.attr}"
    raise _nameless(name, sorted({point.name for point in found}))


def _nameless(name: str, known: list[str] = []) -> SpiderInvalid:  # noqa: B006 - nobody writes to it
    remedy = "write it as module:Class, e.g. my_spiders:Headlines"
    if known:
        remedy += f"; installed packages bring {', '.join(known)}"
    return SpiderInvalid(f"{name!r} names no spider", remedy=remedy)


def _spiders_of(module_name: str) -> dict[str, type[Spider]]:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise SpiderInvalid(f"module {module_name!r} needs {error.name!r}", remedy="install it") from error
        remedy = f"run the command in the folder where {module_name.partition('.')[0]}.py is"
        raise SpiderInvalid(f"no module {module_name!r} in {folder} or installed", remedy=remedy) from error
    except Exception as error:
        raise SpiderInvalid(
            f"module {module_name!r} cannot be imported: {type(error).__name__}: {error}",
            remedy=f"mend {_import_place(error)}",
        ) from error
    return {key: value for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Spider)}


def _import_place(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
