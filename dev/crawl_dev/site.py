"""A folder of files as a website on loopback, served by a private nginx that remembers what it was asked."""

import getpass
import grp
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from crawl_dev import installed, ports
from crawl_dev.process import ServerProcess

_CONFIG = """\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    types {{
        text/html html htm;
        text/css css;
        text/plain txt;
        text/xml xml;
        text/javascript js;
        application/json json;
        application/pdf pdf;
        application/gzip gz;
        image/png png;
        image/svg+xml svg;
        image/gif gif;
        image/jpeg jpg jpeg;
        image/x-icon ico;
    }}
    default_type application/octet-stream;
    log_format requests '$request_method\\t$request_uri\\t$status\\t$msec\\t$http_user_agent';
    access_log {folder}/requests.log requests;
    client_body_temp_path {folder}/body;
{temporary_paths}
    server {{
        listen {address}:{port};
        root "{root}";
        index index.html;
    }}
}}
"""
#: What lets a crawl go to a site on this machine, and as fast as it goes.
OWN_SITE = {"CRAWL_DELAY_S": "0", "CRAWL_ALLOW_NETWORKS": "127.0.0.0/8"}
#: Modules that insist on a folder of their own, even unused; Debian's default ones belong to root.
_MODULES_WITH_FOLDER = ("proxy", "fastcgi", "uwsgi", "scgi")
#: Where Debian's python3-doc and Fedora's python3-docs put the manual.
_DOCS_FOLDER, _DOCS_PATTERN = Path("/usr/share/doc"), "python3*/html"


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """One request that a site has answered, and the Unix time, in seconds, at which it had sent its answer."""

    method: str
    path: str
    status: int
    user_agent: str
    ended_s: float


class StaticSite(ServerProcess):
    """The files below ``root`` as a website; a context manager that starts and stops its nginx.

    Raises:
        ServersError: nginx is not installed or does not start.
    """

    def __init__(self, root: Path) -> None:
        (port,) = ports.free_ports(1)
        self.url = f"http://{ports.LOOPBACK}:{port}/"
        self.root = root.resolve()
        folder = Path(tempfile.mkdtemp(prefix="crawl-site-"))
        nginx = str(installed.program("nginx"))
        self._requests = folder / "requests.log"
        super().__init__("nginx", port, folder, [nginx, "-e", "stderr", "-c", f"{folder}/nginx.conf"], {})
        (folder / "nginx.conf").write_text(self._config(nginx))

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self.terminate()
        shutil.rmtree(self.folder)

    def answers(self) -> bool:
        """Whether it takes connections; no request is made, so none is remembered."""
        return ports.listening(self.port)

    def request_log(self) -> list[SiteRequest]:
        """Every request so far, in order of its end; a line appears just after its answer was sent."""
        lines = self._requests.read_text(errors="replace").splitlines()
        fields = (line.split("\t", 4) for line in lines)
        return [SiteRequest(method, path, int(status), agent, float(at)) for method, path, status, at, agent in fields]

    def requests(self) -> list[str]:
        """The path, with its query, of every request so far."""
        return [request.path for request in self.request_log()]

    def _config(self, nginx: str) -> str:
        built = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=False).stderr
        modules = [name for name in _MODULES_WITH_FOLDER if f"--without-http_{name}_module" not in built]
        return _CONFIG.format(
            # As root, nginx would serve as nobody, who cannot read a private folder.
            user=f"user {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name};\n" if os.geteuid() == 0 else "",
            folder=self.folder,
            temporary_paths="\n".join(f"    {name}_temp_path {self.folder}/{name};" for name in modules),
            address=ports.LOOPBACK,
            port=self.port,
            root=self.root,
        )


def python_docs_root() -> Path | None:
    """The folder of the newest installed Python manual (HTML); None without the package python3-doc."""
    folders = {folder.resolve() for folder in _DOCS_FOLDER.glob(_DOCS_PATTERN)}
    manuals = [folder for folder in folders if (folder / "library" / "index.html").exists()]
    return max(manuals, key=_version, default=None)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]
