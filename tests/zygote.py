"""Commands that start in milliseconds: a process that has imported them all, and runs each in a fork of itself.

``Zygote()`` starts it. As a program it reads one command a line, as JSON, and answers each with its exit code.
"""

import importlib
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress

_MAINS = {
    "crawl-consumer": "crawl_consumer.cli.consumer",
    "crawl-dead": "crawl_producer.cli.dead",
    "crawl-items": "crawl_producer.cli.items",
    "crawl-seed": "crawl_producer.cli.seed",
    "crawl-status": "crawl_producer.cli.status",
    "crawl-topology": "crawl_producer.cli.topology",
}
#: Far above any command of a test; one that hangs is ended by SIGALRM, and its exit code tells.
PATIENCE_S = 60


class Zygote:
    """One command at a time; several zygotes run side by side."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *command, cwd, log, stdin=os.devnull, **environment):
        """Run a command with its output added to the file ``log``; returns its exit code, -9 after SIGKILL."""
        order = {"command": command, "cwd": str(cwd), "log": str(log), "stdin": stdin, "environment": environment}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        """Let it end, which it does when nobody orders any more."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _serve():
    mains = {command: importlib.import_module(module).main for command, module in _MAINS.items()}
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _become(order, mains)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(order, mains):
    signal.alarm(PATIENCE_S)
    code = 70
    try:
        os.environ.update(order["environment"])
        os.chdir(order["cwd"])
        os.dup2(os.open(order["stdin"], os.O_RDONLY), 0)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        random.seed()
        sys.argv = order["command"]
        mains[sys.argv[0]]()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
