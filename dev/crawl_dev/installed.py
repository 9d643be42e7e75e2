"""Where the servers' programs are installed on this machine."""

import os
import shutil
from pathlib import Path

from crawl_dev.errors import ServersError

#: Debian keeps some servers out of an ordinary user's PATH.
_MORE_PATH = (
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/opt/homebrew/bin",
    "/opt/homebrew/sbin",
    "/usr/local/bin",
)
#: RabbitMQ's own scripts. Debian's and Fedora's commands of the same names in /usr/sbin are wrappers that
#: refuse every user but root and rabbitmq.
_RABBIT_FOLDERS = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/usr/lib64/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/homebrew/sbin",
    "/usr/local/sbin",
)
#: Erlang's port mapper, where it is not in PATH.
_EPMD_FOLDERS = (
    "/usr/lib/erlang/erts-*/bin",
    "/usr/lib64/erlang/erts-*/bin",
    "/opt/homebrew/lib/erlang/erts-*/bin",
)

_REMEDY_IN_ROOT = "run: dev/install-rabbitmq4"

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_PATH))


def program(name: str, *folders: str) -> Path:
    """The program of this name in PATH, or in one of the folders (patterns; the highest version wins).

    Raises:
        ServersError: it is not installed.
    """
    found = shutil.which(name, path=SEARCH_PATH) or next((str(p / name) for p in _matching(folders, name)), None)
    if found is None:
        raise ServersError(f"{name} is not installed", remedy="run: make servers")
    return Path(found)


def epmd(root: Path | None = None) -> Path:
    """Erlang's port mapper; with ``root``, that of the system in this folder. Raises ServersError."""
    if root is None:
        return program("epmd", *_EPMD_FOLDERS)
    for folder in _matching(_EPMD_FOLDERS, "epmd", root):
        return folder / "epmd"
    raise ServersError(f"there is no Erlang in {root}", remedy=_REMEDY_IN_ROOT)


def rabbitmq_scripts(root: Path | None = None) -> Path:
    """The folder of RabbitMQ's own, unwrapped scripts: the one that has rabbitmq-env beside rabbitmq-server.

    Args:
        root: the folder of another system that has it; None for this machine's own.

    Raises:
        ServersError: RabbitMQ is not installed.
    """
    in_path = shutil.which("rabbitmq-server", path=SEARCH_PATH) if root is None else None
    more = (str(Path(in_path).resolve().parent),) if in_path else ()
    for folder in _matching((*_RABBIT_FOLDERS, *more), "rabbitmq-server", root):
        if (folder / "rabbitmq-env").exists() and (folder / "rabbitmqctl").exists():
            return folder
    if root is not None:
        raise ServersError(f"there is no RabbitMQ in {root}", remedy=_REMEDY_IN_ROOT)
    raise ServersError("RabbitMQ is not installed", remedy="run: make servers")


def _matching(patterns: tuple[str, ...], name: str, root: Path | None = None) -> list[Path]:
    top = root or Path("/")
    return [
        folder
        for pattern in patterns
        for folder in sorted(top.glob(pattern.lstrip("/")), reverse=True)
        if (folder / name).is_file()
    ]
