"""Which RabbitMQ private nodes run: this machine's own, or that of another system in a folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from crawl_dev import installed
from crawl_dev.errors import ServersError

#: Names the folder of another system, such as the one that dev/install-rabbitmq4 makes. By the environment, because
#: whatever starts servers must be able to run on either RabbitMQ: tests, benchmarks, the demo.
ROOT_VARIABLE: Final = "CRAWL_DEV_RABBITMQ"
#: Makes the other system the root of one process and its children. The arguments are its folder, the machine's folder
#: that stays where it is (the servers' files are somewhere in it), and the command. The mounts are seen by nobody else
#: and end with the last of these processes, however it ends. The process id stays the same all the way.
_ENTER = """\
root=$1 kept=$2
shift 2
for shared in /proc /dev "$kept"; do
    mkdir -p "$root$shared" && mount --rbind "$shared" "$root$shared" || exit
done
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class RabbitInstallation:
    """A RabbitMQ, and how its programs are started.

    Attributes:
        root: the folder of the system that has it; None for this machine's own.
    """

    root: Path | None = None

    @classmethod
    def chosen(cls) -> Self:
        """The one that the environment names, otherwise the machine's own."""
        root = os.environ.get(ROOT_VARIABLE)
        return cls(Path(root).resolve() if root else None)

    def __str__(self) -> str:
        """``RabbitMQ 4.0.5 in /folder``. Raises ServersError."""
        return f"RabbitMQ {self.version}" + (f" in {self.root}" if self.root else "")

    @property
    def version(self) -> str:
        """Its version, such as ``4.0.5``, which its own plugin bears in its name; ``?`` if that is unusual.

        Raises:
            ServersError: there is no RabbitMQ.
        """
        plugins = (self._scripts().parent / "plugins").glob("rabbit-*")
        versions = (re.fullmatch(r"rabbit-([0-9.]+[0-9]).*", plugin.name) for plugin in plugins)
        return next((found[1] for found in versions if found), "?")

    def server(self, folder: Path) -> tuple[str, ...]:
        """The command that becomes a node with its files in ``folder``. Raises ServersError."""
        return self._command(self._scripts() / "rabbitmq-server", folder)

    def ctl(self, folder: Path) -> tuple[str, ...]:
        """The command rabbitmqctl, for the node of ``folder``. Raises ServersError."""
        return self._command(self._scripts() / "rabbitmqctl", folder)

    def epmd(self, folder: Path) -> tuple[str, ...]:
        """The command of Erlang's port mapper. Raises ServersError."""
        return self._command(installed.epmd(self.root), folder)

    def _scripts(self) -> Path:
        return installed.rabbitmq_scripts(self.root)

    def _command(self, program: Path, folder: Path) -> tuple[str, ...]:
        if self.root is None:
            return (str(program),)
        if not folder.is_absolute() or folder.is_relative_to("/usr"):
            raise ServersError(f"{folder} cannot be shown to the RabbitMQ in {self.root}", remedy="name another folder")
        # An ordinary user may do this as the only user of a user namespace, where the machine allows these.
        user = () if os.geteuid() == 0 else ("--map-root-user",)
        enter = (str(installed.program("unshare")), *user, "--mount", "--propagation", "private", "--", "sh", "-c")
        kept = "/" + folder.parts[1]
        return (*enter, _ENTER, "enter", str(self.root), kept, f"/{program.relative_to(self.root)}")
