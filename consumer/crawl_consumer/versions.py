"""Which versions are running: ours, and those of the libraries that strangers' bytes go through.

The ones in C come with wheels, so that nothing else on the machine tells their versions.
"""

import platform
import ssl
import zlib
from importlib.metadata import version
from importlib.util import find_spec

from crawl_consumer import codings, parser
from crawl_producer.user_agent import installed_version

#: The parser of HTTP that aiohttp has in C (llhttp); without it, another one in Python reads the same bytes.
_IN_C = "aiohttp._http_parser"


def versions() -> dict[str, str]:
    """Name → version, ours first."""
    return {
        "crawlmq": installed_version(),
        "python": platform.python_version(),
        "aiohttp": f"{version('aiohttp')}, HTTP parsed in {'C' if find_spec(_IN_C) else 'Python'}",
        "lxml": version("lxml"),
        **parser.libraries(),
        "ada-url": version("ada-url"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **codings.libraries(),
        "openssl": ssl.OPENSSL_VERSION,
        "pika": version("pika"),
        "redis": version("redis"),
        "pydantic": version("pydantic"),
    }
