"""A private PostgreSQL and a private MariaDB, each with one empty database, for as long as a ``with`` block lasts."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from crawl_dev import installed, ports
from crawl_dev.errors import ServersError
from crawl_dev.process import ServerProcess

_POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_ENVIRONMENT = {"PATH": installed.SEARCH_PATH, "LANG": "C.UTF-8"}


class _Database(ServerProcess):
    """A database server whose files are in a temporary folder."""

    #: Whose processes these are when root starts them; PostgreSQL refuses to be root's.
    user = ""

    def __init__(self, name: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix=f"crawl-{name}-"))
        self._home.chmod(0o755)
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0 and self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self._home, account.pw_uid, account.pw_gid)
            self._as_user = ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        (port,) = ports.free_ports(1)
        # Whatever ends the tests ends the server too.
        command = (*self._as_user, "setpriv", "--pdeathsig=KILL", *self._serve(port))
        super().__init__(name, port, self._home, command, _ENVIRONMENT)

    def _serve(self, port: int) -> tuple[str, ...]:
        raise NotImplementedError

    def _make(self) -> tuple[str, ...]:
        raise NotImplementedError

    def answers(self) -> bool:
        return ports.listening(self.port)

    def __enter__(self) -> Self:
        made = subprocess.run((*self._as_user, *self._make()), env=_ENVIRONMENT, capture_output=True, check=False)
        if made.returncode:
            raise ServersError(f"{self.name} cannot be set up: {made.stderr.decode(errors='replace')[-300:]}")
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        shutil.rmtree(self._home)


class PostgresServer(_Database):
    """PostgreSQL; ``url`` is SQLAlchemy's."""

    user = "postgres"

    def __init__(self) -> None:
        super().__init__("postgresql")
        self.url = f"postgresql+psycopg://crawler@{ports.LOOPBACK}:{self.port}/postgres"

    def _make(self) -> tuple[str, ...]:
        initdb = str(installed.program("initdb", *_POSTGRES_FOLDERS))
        return (initdb, "-D", str(self._home / "data"), "-U", "crawler", "--auth=trust", "--encoding=UTF8", "--no-sync")

    def _serve(self, port: int) -> tuple[str, ...]:
        postgres = str(installed.program("postgres", *_POSTGRES_FOLDERS))
        sockets = f"unix_socket_directories={self._home}"
        return (postgres, "-D", str(self._home / "data"), "-p", str(port), "-h", ports.LOOPBACK, "-c", sockets)


class MariaDbServer(_Database):
    """MariaDB; ``url`` is SQLAlchemy's."""

    user = "mysql"

    def __init__(self) -> None:
        super().__init__("mariadb")
        self.url = f"mysql+pymysql://crawler:crawler@{ports.LOOPBACK}:{self.port}/test?charset=utf8mb4"

    def _make(self) -> tuple[str, ...]:
        install = str(installed.program("mariadb-install-db"))
        return (
            install,
            "--no-defaults",
            f"--datadir={self._home / 'data'}",
            "--auth-root-authentication-method=normal",
        )

    def _serve(self, port: int) -> tuple[str, ...]:
        (self._home / "start.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS test;\n"
            "CREATE USER IF NOT EXISTS crawler IDENTIFIED BY 'crawler';\nGRANT ALL ON test.* TO crawler;\n"
        )
        return (
            str(installed.program("mariadbd")),
            "--no-defaults",
            f"--datadir={self._home / 'data'}",
            "--skip-name-resolve",  # users are told apart by address, not by a name that an anonymous user has too
            f"--port={port}",
            f"--bind-address={ports.LOOPBACK}",
            f"--socket={self._home / 'socket'}",
            f"--pid-file={self._home / 'pid'}",
            f"--init-file={self._home / 'start.sql'}",
        )
