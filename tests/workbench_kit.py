"""The workbench's commands as processes of this interpreter, in a folder of their own."""

import os
import subprocess
import sys

from crawl_dev.site import OWN_SITE

#: Above anything that works on two busy cores; reached only when something hangs.
PATIENCE_S = 90


def start(module, *words, folder, **environment):
    """``crawl_consumer.cli.<module>`` with these arguments; its web is ours and needs no delay."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRAWL_")}
    code = f"from crawl_consumer.cli.{module} import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env={**kept, **OWN_SITE, **environment}, cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ran(module, *words, folder, code=0, stdin="", **environment):
    """Run it to its end; returns stdout and stderr."""
    process = start(module, *words, folder=folder, **environment)
    try:
        out, err = process.communicate(stdin, timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == code, f"{module} {words} ended with {process.returncode}: {out}{err}"
    return out, err
