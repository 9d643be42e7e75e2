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


def epmd() -> Path:
    """Erlang's port mapper."""
    return program("epmd", *_EPMD_FOLDERS)


def rabbitmq_scripts() -> Path:
    """The folder of RabbitMQ's own, unwrapped scripts: the one that has rabbitmq-env beside rabbitmq-server.

    Raises:
        ServersError: RabbitMQ is not installed.
    """
    in_path = shutil.which("rabbitmq-server", path=SEARCH_PATH)
    more = (str(Path(in_path).resolve().parent),) if in_path else ()
    for folder in _matching((*_RABBIT_FOLDERS, *more), "rabbitmq-server"):
        if (folder / "rabbitmq-env").exists() and (folder / "rabbitmqctl").exists():
            return folder
    raise ServersError("RabbitMQ is not installed", remedy="run: make servers")


def _matching(patterns: tuple[str, ...], name: str) -> list[Path]:
    root = Path("/")
    return [
        folder
        for pattern in patterns
        for folder in sorted(root.glob(pattern.lstrip("/")), reverse=True)
        if (folder / name).is_file()
    ]
