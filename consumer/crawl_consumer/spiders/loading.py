"""Finding a spider: the class that ``module:Class`` names, imported from the user's own folder."""

import sys
import traceback
from importlib import import_module
from pathlib import Path

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spiders.base import Spider


def load_spider(name: str) -> Spider:
    """An instance of the class that ``module:Class`` names; the working folder is looked in first.

    Raises:
        SpiderInvalid: there is none, or importing or making it failed.
    """
    module_name, colon, class_name = name.partition(":")
    if not (module_name and colon and class_name):
        raise SpiderInvalid(f"{name!r} names no spider", remedy="write it as module:Class, e.g. my_spiders:Headlines")
    spiders = _spiders_of(module_name)
    if class_name not in spiders:
        there = ", ".join(f"{module_name}:{key}" for key, known in spiders.items() if known is not Spider)
        remedy = f"there is {there}" if there else "write a class there: class Headlines(crawl_consumer.spider.Spider)"
        raise SpiderInvalid(f"module {module_name!r} has no spider {class_name!r}", remedy=remedy)
    try:
        return spiders[class_name]()
    except Exception as error:
        raise SpiderInvalid(f"{name} cannot be made: {error!r}", remedy="it is called without arguments") from error


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
