"""How commands end: exit codes, one clear line, no traceback, no password."""

import asyncio
import errno
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from crawl_consumer import errors as consumer_errors
from crawl_dedup import errors as dedup_errors
from crawl_producer import command
from crawl_producer import errors as producer_errors
from crawl_producer.errors import BrokerUnreachable

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in command._LIBRARY_LEVELS}
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def ended(main, **options):
    with pytest.raises(SystemExit) as caught:
        command.run("crawl-x", main, **options)
    return caught.value.code


def raising(error):
    async def main():
        raise error

    return main


def test_a_command_ends_with_the_code_that_it_returns():
    async def nothing():
        return None

    async def drift():
        return command.ExitCode.TOPOLOGY_DIFFERS

    assert (ended(nothing), ended(drift)) == (0, 11)


def test_an_error_of_ours_is_one_line_its_remedy_and_its_code(capsys):
    assert ended(raising(BrokerUnreachable("no node answers", remedy="start one"))) == 4
    assert capsys.readouterr().err == "crawl-x: no node answers\n  remedy: start one\n"


def test_every_error_of_ours_has_a_documented_code():
    for module in (dedup_errors, producer_errors, consumer_errors):
        for error in vars(module).values():
            if isinstance(error, type) and issubclass(error, dedup_errors.CrawlError):
                assert error.exit_code in list(command.ExitCode)


def test_an_unexpected_error_is_one_line_and_a_traceback_only_for_debugging(capsys):
    assert ended(raising(KeyError("x"))) == 1
    assert capsys.readouterr().err == (
        "crawl-x: unexpected KeyError: 'x'\n  remedy: run again with --debug to see where\n"
    )
    assert ended(raising(KeyError("x")), debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_of_several_errors_at_once_ours_is_told(capsys):
    group = ExceptionGroup("two tasks", [ValueError("a"), ExceptionGroup("one", [BrokerUnreachable("gone")])])
    assert ended(raising(group)) == 4
    assert capsys.readouterr().err == "crawl-x: gone\n"
    assert ended(raising(ExceptionGroup("one task", [ValueError("a")]))) == 1
    assert "unexpected ValueError: a" in capsys.readouterr().err


def test_a_prompt_that_is_left_is_an_interrupt_and_a_bad_parameter_is_typers():
    assert ended(raising(typer.Abort())) == 130
    with pytest.raises(typer.BadParameter):
        command.run("crawl-x", raising(typer.BadParameter("not both")))


def test_an_interrupt_ends_with_130_in_silence(capsys):
    async def main():
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    assert ended(main) == 130
    assert capsys.readouterr() == ("", "")


def test_passwords_are_blotted_out_of_errors_tracebacks_and_logs(capsys):
    secret = "amqp://me:hunter2@host, redis://:p@ss:hunter2@[::1]:6379/0"

    async def main():
        logging.getLogger("crawl_x").warning("cannot reach %s", secret)
        raise BrokerUnreachable(secret)

    ended(main, debug=True)
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "amqp://me:***@host, redis://:***@[::1]:6379/0" in said


def test_text_without_a_password_stays_as_it_is():
    text = "http://[::1]:80/a?b=c:d amqp://me@host:5672 a:b@c"
    assert command.redact(text) == text


def test_pika_is_quiet_about_what_our_errors_say_unless_debugging(capsys):
    command.set_up_logging()
    logging.getLogger("pika.adapters.utils.connection_workflow").error("attempt failed")
    logging.getLogger("pika.callback").error("calling failed")
    assert "attempt" not in (said := capsys.readouterr().err)
    assert "calling failed" in said
    command.set_up_logging(debug=True)
    logging.getLogger("pika.adapters.utils.connection_workflow").error("attempt failed")
    assert "attempt failed" in capsys.readouterr().err


def test_a_full_disk_behind_the_output_is_told():
    with Path("/dev/full").open("w") as full:
        done = topology_command("render", stdout=full)
    assert done.returncode == 12
    said = f"crawl-topology: the output cannot be written: {os.strerror(errno.ENOSPC)}\n"
    assert done.stderr == f"{said}  remedy: make room, then run it again\n"


def test_a_closed_pipe_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = topology_command("render", stdout=closed)
    assert (done.returncode, done.stderr) == (141, "")


def topology_command(*arguments, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from crawl_producer.cli.topology import main; main()", *arguments],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        check=False,
    )


def test_the_log_says_which_file_was_read_and_why():
    done = topology_command("check", "--debug", CRAWL_TOPOLOGY=str(REPOSITORY / "exchanges.yaml"))
    assert f"topology: {REPOSITORY / 'exchanges.yaml'} (CRAWL_TOPOLOGY)" in done.stderr


def test_check_reads_the_file_without_a_broker_and_names_every_mistake(tmp_path):
    done = topology_command("check", "--json", CRAWL_RABBITMQ_NODES="127.0.0.1:1")
    assert (done.returncode, json.loads(done.stdout)["crawls"], done.stderr) == (0, 3, "")
    broken = tmp_path / "broken.yaml"
    broken.write_text("exchanges: {x: {type: topc}}\nqueues: {}\ncrawl: {}\n")
    done = topology_command("check", "--topology", str(broken))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        f"crawl-topology: 3 mistakes in {broken}",
        f"{broken}: crawls: missing; add 'crawls'",
        f"{broken}:1: exchanges.x.type: must be 'direct', 'topic', 'fanout' or 'headers'; did you mean 'topic'?",
        f"{broken}:3: crawl: unknown key; did you mean 'crawls'?",
        "  remedy: mend the file; `crawl-topology check` reads it again without touching RabbitMQ",
    ]


@pytest.mark.parametrize("arguments", [["plam"], ["render", "--as", "png"], ["plan", "--bogus"]])
def test_wrong_usage_ends_with_2(arguments):
    assert topology_command(*arguments).returncode == 2


def test_help_shows_examples_line_by_line():
    shown = topology_command("apply", "--help").stdout
    assert "    crawl-topology apply\n" in shown
