"""The development tools' own rules, without servers."""

import subprocess
import sys
from pathlib import Path

import pytest

from crawl_dev import ServersError, free_ports, installed
from crawl_dev.identity import ProcessIdentity
from crawl_dev.layout import Layout
from crawl_dev.process import ServerProcess
from crawl_dev.rabbit_installation import ROOT_VARIABLE, RabbitInstallation

_SLEEPER = [sys.executable, "-c", "input()"]


def test_a_process_id_that_was_used_again_is_never_signalled(tmp_path: Path) -> None:
    with subprocess.Popen(_SLEEPER, stdin=subprocess.PIPE) as stranger:
        server = ServerProcess("server", 1, tmp_path, _SLEEPER, {})
        (tmp_path / "server.process.json").write_text(f'{{"pid": {stranger.pid}, "started": "long ago"}}')
        assert not server.alive
        server.kill()
        server.terminate()
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_a_dead_process_that_nobody_has_buried_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    identity = ProcessIdentity.of(child.pid)
    while identity is not None and identity.alive:
        pass
    assert ProcessIdentity.of(child.pid) is None
    child.wait()


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    server = ServerProcess("deaf", 1, tmp_path, [sys.executable, "-c", script], {})
    server.start()
    while "deaf" not in server.log_file.read_text():
        assert server.alive
    server.terminate(deadline_s=0.1)
    assert not server.alive


def test_a_server_that_ends_while_starting_is_reported_with_what_it_said(tmp_path: Path) -> None:
    script = "print('Starting'); print('An error:'); print('  no such thing')"
    server = ServerProcess("broken", 1, tmp_path, [sys.executable, "-c", script], {})
    server.answers = lambda: False  # type: ignore[method-assign]
    server.start()
    with pytest.raises(ServersError, match=r"broken ended while starting: An error: \| no such thing"):
        server.wait_ready()


def test_free_ports_are_different_and_below_the_ephemeral_range() -> None:
    found = free_ports(50)
    assert len(set(found)) == 50
    assert max(found) < 32768


def test_a_layout_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = Layout.plan(3, redis=True, folder=tmp_path)
    layout.write()
    assert Layout.read(tmp_path) == layout


def test_a_layout_remembers_whose_rabbitmq_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "debian13"))
    Layout.plan(1, redis=False, folder=tmp_path / "servers").write()
    monkeypatch.delenv(ROOT_VARIABLE)
    assert Layout.read(tmp_path / "servers").rabbitmq == RabbitInstallation(tmp_path / "debian13")


def test_the_rabbitmq_of_another_system_is_found_in_its_folder(tmp_path: Path) -> None:
    home = tmp_path / "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5"
    for program in ("rabbitmq-server", "rabbitmq-env", "rabbitmqctl"):
        (home / "sbin").mkdir(parents=True, exist_ok=True)
        (home / "sbin" / program).touch()
    (home / "plugins/rabbit_common-9.9.9").mkdir(parents=True)
    (home / "plugins/rabbit-4.0.5").mkdir()
    installation = RabbitInstallation(tmp_path)
    assert str(installation) == f"RabbitMQ 4.0.5 in {tmp_path}"
    assert installation.ctl(Path("/srv/x"))[-2:] == (
        "/srv",
        "/usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5/sbin/rabbitmqctl",
    )
    with pytest.raises(ServersError, match="name another folder"):
        installation.server(Path("/usr/x"))


def test_a_folder_without_rabbitmq_names_the_remedy(tmp_path: Path) -> None:
    for missing in (RabbitInstallation.server, RabbitInstallation.ctl, RabbitInstallation.epmd):
        with pytest.raises(ServersError, match=f"{tmp_path}; run: dev/install-rabbitmq4"):
            missing(RabbitInstallation(tmp_path), Path("/srv/x"))


def test_a_missing_server_names_the_remedy() -> None:
    with pytest.raises(ServersError, match="make servers"):
        installed.program("no-such-server")
