"""Hazards of HTTP itself: what never ends, drips, lies about its length, breaks off or is no HTTP at all."""

import asyncio
import socket

from crawl_dev.hostile.hazard import BY_IDLE, BY_PACE, BY_TOTAL, Hazard, Talk, always, answer, dripping, endless, head

_CHUNKED = head(b"Transfer-Encoding: chunked")
_PAGE = b"<title>small</title><a href=/next>next</a>"
_KIB = b"x" * 1024
#: A write of an endless talk.
_BLOCK = _KIB * 64
_OPEN_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


async def _silence(writer: asyncio.StreamWriter) -> None:
    writer.write(b"")
    await asyncio.Event().wait()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.write(b"")


def _reset(said: bytes) -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await asyncio.sleep(0.05)  # to be read, or the reset takes it along and nothing was ever answered
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return talk


def _redirect(location: bytes) -> bytes:
    return answer(b"", b"Location: " + location, status=b"302 Found")


_ENDLESS = (
    Hazard("announced-5-gb", "too_large", always(head(b"Content-Length: 5000000000"))),
    Hazard("announced-beyond-64-bits", "failed_protocol", always(head(b"Content-Length: 99999999999999999999"))),
    Hazard("huge-body", "too_large", always(endless(_CHUNKED, b"10000\r\n" + _BLOCK + b"\r\n"))),
    Hazard("endless-stream", "too_large", always(endless(head(), _BLOCK))),
    Hazard("endless-header-fields", "failed_protocol", always(endless(_OPEN_HEAD, b"X-Again: 1\r\n" * 1000))),
    Hazard("endless-header-line", "failed_protocol", always(endless(_OPEN_HEAD + b"X-Long: ", _BLOCK))),
    Hazard("endless-header-name", "failed_protocol", always(endless(_OPEN_HEAD, _BLOCK))),
    Hazard("endless-status-line", "failed_protocol", always(endless(b"HTTP/1.1 200 ", _BLOCK))),
    Hazard("endless-trailers", "failed_protocol", always(endless(_CHUNKED + b"0\r\n", b"X-Again: 1\r\n" * 1000))),
    Hazard("long-header-line", "failed_protocol", always(answer(_PAGE, b"X-Long: " + _KIB * 9))),
    Hazard("many-header-fields", "failed_protocol", always(answer(_PAGE, *[b"X-%d: 1" % n for n in range(200)]))),
    Hazard("tiny-chunks", "failed_protocol", always(endless(_CHUNKED, b"1\r\nx\r\n" * 1000)), "chunks of less than"),
    Hazard("interim-flood", "failed_protocol", always(endless(b"", b"HTTP/1.1 103 E\r\n\r\n" * 1000)), "interim"),
    Hazard("interim-few", "ok", always(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5 + answer(_PAGE)), links=1),
)

_SLOW = (
    Hazard("slow-drip", "failed_timeout", always(dripping(head(), b"x")), "slower than", BY_PACE),
    Hazard("slow-chunks", "failed_timeout", always(dripping(_CHUNKED, b"1\r\nx\r\n")), "slower than", BY_PACE),
    Hazard(
        "endless-chunk-extension", "failed_timeout", always(dripping(_CHUNKED + b"5;", _KIB)), "slower than", BY_PACE
    ),
    Hazard("endless-chunk-size", "failed_timeout", always(dripping(_CHUNKED, b"0" * 1024)), "slower than", BY_PACE),
    Hazard("slow-header", "failed_timeout", always(dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")), "", BY_TOTAL),
    Hazard("slow-interim", "failed_timeout", always(dripping(b"", b"HTTP/1.1 102 P\r\n\r\n", 0.5)), "", BY_TOTAL),
    Hazard("endless-blank-lines", "failed_timeout", always(dripping(b"", b"\r\n" * 512)), "", BY_TOTAL),
    Hazard("silence", "failed_timeout", always(_silence), "", BY_IDLE),
    Hazard("silence-after-header", "failed_timeout", always(dripping(head(b"Content-Length: 9"), b"")), "", BY_IDLE),
)

_LIES = (
    Hazard("length-too-long", "failed_protocol", always(head(b"Content-Length: 999") + _PAGE)),
    Hazard("length-too-short", "failed_protocol", always(head(b"Content-Length: 9") + _PAGE)),
    Hazard("two-lengths", "failed_protocol", always(head(b"Content-Length: 9", b"Content-Length: 10") + _PAGE)),
    Hazard("length-and-chunks", "failed_protocol", always(answer(_PAGE, b"Transfer-Encoding: chunked"))),
    Hazard("negative-length", "failed_protocol", always(head(b"Content-Length: -1") + _PAGE)),
    Hazard("early-close-of-chunks", "failed_protocol", always(_CHUNKED + b"50\r\n" + _PAGE)),
    Hazard("no-last-chunk", "failed_protocol", always(_CHUNKED + b"%x\r\n%b\r\n" % (len(_PAGE), _PAGE))),
    Hazard("broken-chunk", "failed_protocol", always(_CHUNKED + b"5\r\nhello\r\nzz\r\n")),
    *[
        Hazard(name, "failed_protocol", always(_reset(head(*length) + _PAGE)), or_else="failed_connect")
        for name, length in (("reset-in-body", [b"Content-Length: 999"]), ("reset-without-length", []))
    ],
    Hazard("hang-up", "failed_connect", always(_hang_up)),
    Hazard("body-on-204", "failed_protocol", always(answer(_PAGE, status=b"204 No Content"))),
    Hazard("body-on-304", "failed_protocol", always(answer(_PAGE, status=b"304 Not Modified"))),
    Hazard("two-answers", "ok", always(answer(_PAGE) + answer(b"<a href=/smuggled>"))),
    Hazard("switching-protocols", "http_101", always(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")),
)

_GARBAGE = (
    Hazard("garbage", "failed_protocol", always(bytes(range(256)) * 64)),
    Hazard("no-header-at-all", "failed_protocol", always(b"<html>" + _PAGE)),
    Hazard("another-protocol", "failed_protocol", always(b"SSH-2.0-OpenSSH_9.6\r\n")),
    Hazard("tls-alert", "failed_protocol", always(b"\x15\x03\x01\x00\x02\x02\x0a")),
    Hazard("status-of-nothing", "failed_protocol", always(b"HTTP/1.1 \r\n\r\n")),
    Hazard("nul-in-header", "failed_protocol", always(answer(_PAGE, b"X-Nul: a\0b"))),
    Hazard("escapes-in-header", "ok", always(answer(_PAGE, b"X-Red: \x1b[31m\x1b]0;owned\x07")), links=1),
    Hazard("escapes-in-reason", "ok", always(answer(_PAGE, status=b"200 \x1b[2J\x1b[31mOK")), links=1),
    Hazard("escapes-in-garbage", "failed_protocol", always(b"HTTP/9.9 \x1b[2J\x1b]0;owned\x07\r\n\r\n")),
    Hazard("retry-never", "failed_http_503", always(answer(b"", b"Retry-After: " + b"9" * 4000, status=b"503 Later"))),
)

_REDIRECTS = (
    Hazard("redirect-to-itself", "duplicate", always(_redirect(b"/redirect-to-itself"))),
    Hazard("redirect-chain", "filtered:redirects", lambda n: _redirect(b"/redirect-chain?%d" % (n + 1))),
    Hazard("redirect-to-a-file", "filtered:scheme", always(_redirect(b"file:///etc/passwd"))),
    Hazard("redirect-to-javascript", "filtered:scheme", always(_redirect(b"javascript:alert(1)"))),
    Hazard("redirect-too-long", "filtered:too_long", always(_redirect(b"/" + b"a" * 7000))),
    Hazard("redirect-with-escapes", "filtered:host", always(_redirect(b"http://elsewhere.example/\x1b[31m"))),
)

HAZARDS = (*_ENDLESS, *_SLOW, *_LIES, *_GARBAGE, *_REDIRECTS)
