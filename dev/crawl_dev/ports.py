"""Ports for private servers: free ones on loopback, and waiting until one answers."""

import random
import socket

LOOPBACK = "127.0.0.1"
#: Below every system's ephemeral range (Linux begins at 32768, macOS at 49152): the port of a server that is
#: stopped for a moment cannot be taken by somebody's outgoing connection, so it can be started again.
FIRST_PORT, LAST_PORT = 12_000, 32_000
#: Loopback answers at once or not at all; a stopped (SIGSTOP) server accepts and stays silent.
ANSWER_TIMEOUT_S = 2.0


def free_ports(count: int) -> list[int]:
    """``count`` different loopback ports that nobody listens on; all are held until the last one is found."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            held.append(candidate)
            try:
                candidate.bind((LOOPBACK, random.randint(FIRST_PORT, LAST_PORT)))  # noqa: S311 - no secret
            except OSError:
                held.pop().close()
        return [holder.getsockname()[1] for holder in held]
    finally:
        for holder in held:
            holder.close()


def ask(port: int, question: bytes) -> bytes:
    """The first bytes that the server on ``port`` says to ``question``; empty if it says nothing."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_S) as connection:
            connection.sendall(question)
            return connection.recv(4096)
    except OSError:
        return b""


def listening(port: int) -> bool:
    """Whether somebody takes connections on ``port``."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_S).close()
    except OSError:
        return False
    return True
