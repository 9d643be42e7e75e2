"""The command ``python -m crawl_dev``: private servers that outlive the command, until ``down``."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from crawl_dev import guard
from crawl_dev.errors import ServersError
from crawl_dev.layout import Layout
from crawl_dev.servers import Servers

_EXAMPLES = """\
examples:
  python -m crawl_dev up --nodes 3 --folder /tmp/servers     start three RabbitMQ nodes and a Redis
  eval "$(python -m crawl_dev up)"                           start one of each, for this shell's commands
  python -m crawl_dev kill /tmp/servers rabbit2              kill -9 one node
  python -m crawl_dev restart /tmp/servers rabbit2           start it again with its data
  python -m crawl_dev ctl /tmp/servers -- list_queues name messages_ready
  python -m crawl_dev down /tmp/servers                      stop them all
  CRAWL_DEV_RABBITMQ=FOLDER python -m crawl_dev up           with the RabbitMQ that dev/install-rabbitmq4 put there
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if it did what was asked, 1 with one line on stderr if not."""
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
    except ServersError as error:
        print(f"crawl_dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up(asked: argparse.Namespace) -> None:
    layout = Layout.plan(asked.nodes, redis=asked.redis, folder=asked.folder, replicated=asked.replicated)
    servers = Servers(layout)
    servers.configure({}, {})
    servers.start()
    for name, value in servers.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"# stop them with: python -m crawl_dev down {shlex.quote(str(servers.folder))}")


def _down(asked: argparse.Namespace) -> None:
    Servers.open(asked.folder).stop()


def _status(asked: argparse.Namespace) -> None:
    for process in Servers.open(asked.folder).processes:
        state = f"pid {process.pid}, {'ready' if process.answers() else 'silent'}" if process.alive else "dead"
        print(f"{process.name:8} port {process.port:5}  {state}")


def _kill(asked: argparse.Namespace) -> None:
    Servers.open(asked.folder).process(asked.server).kill()


def _pause(asked: argparse.Namespace) -> None:
    Servers.open(asked.folder).process(asked.server).pause()


def _resume(asked: argparse.Namespace) -> None:
    Servers.open(asked.folder).process(asked.server).resume()


def _restart(asked: argparse.Namespace) -> None:
    Servers.open(asked.folder).process(asked.server).restart()


def _ctl(asked: argparse.Namespace) -> None:
    nodes = {node.name: node for node in Servers.open(asked.folder).rabbit.nodes}
    if asked.node not in nodes:
        raise ServersError(f"no node {asked.node!r} in {asked.folder}", remedy=f"there are: {', '.join(nodes)}")
    print(nodes[asked.node].ctl(*asked.arguments), end="")


def _guard(asked: argparse.Namespace) -> None:
    if guard.owner_died():
        Servers.open(asked.folder).stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crawl_dev",
        description="Private RabbitMQ and Redis servers on free ports, apart from those of the machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    up = commands.add_parser("up", help="start servers and print the environment that leads to them")
    up.set_defaults(run=_up)
    up.add_argument("--nodes", type=int, choices=range(8), default=1, help="RabbitMQ nodes, 0 for none (default: 1)")
    up.add_argument("--no-redis", dest="redis", action="store_false", help="start no Redis")
    up.add_argument("--replicated", action="store_true", help="start a Redis with a replica and three Sentinels")
    up.add_argument("--folder", type=Path, help="a new folder for their files (default: a temporary one)")

    for name, run, text in (
        ("down", _down, "stop all servers of a folder"),
        ("status", _status, "say which servers of a folder live"),
        ("guard", _guard, argparse.SUPPRESS),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("folder", type=Path)

    for name, run, text in (
        ("kill", _kill, "kill -9 one server"),
        ("pause", _pause, "freeze one server (SIGSTOP)"),
        ("resume", _resume, "thaw it (SIGCONT)"),
        ("restart", _restart, "start it again with its data"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("folder", type=Path)
        command.add_argument("server", help="rabbit1, redis, ... as `status` names them")

    ctl = commands.add_parser("ctl", help="run rabbitmqctl on a node")
    ctl.set_defaults(run=_ctl)
    ctl.add_argument("folder", type=Path)
    ctl.add_argument("--node", default="rabbit1", help="which node is asked (default: rabbit1)")
    ctl.add_argument("arguments", nargs="+", help="behind --, as for rabbitmqctl")
    return parser


if __name__ == "__main__":
    sys.exit(main())
