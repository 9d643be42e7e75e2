"""Cookies of one crawl in one process: each goes back to the very host that set it, and to no other.

``Domain=`` is not honoured: without a list of public suffixes a site could set cookies for all of ``co.uk``, and a
crawl meets such sites.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from http.cookies import BaseCookie, SimpleCookie

import aiohttp
from yarl import URL

#: Cookies of a host, the least that RFC 6265 (6.1) asks for. A host that sets more begins anew.
COOKIES_PER_HOST = 50
#: Longer ones are refused; the same section asks for so many bytes.
MAX_COOKIE_BYTES = 4096
#: Hosts whose cookies are kept; then the one that was asked longest ago begins anew. With all of the above 200 MB.
KEPT_HOSTS = 1000

_NO_URL = URL()
_DOMAIN = re.compile(r";\s*domain\s*=[^;]*", re.IGNORECASE)


class HostCookies(aiohttp.CookieJar):
    """A jar of jars, one for each host."""

    def __init__(self) -> None:
        super().__init__(unsafe=True)
        self._jars: OrderedDict[str, aiohttp.CookieJar] = OrderedDict()

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Take what a response has set."""
        fit = [_DOMAIN.sub("", header) for header in headers if len(header) <= MAX_COOKIE_BYTES]
        jar = self._jar(response_url.raw_host or "")
        if len(jar) + len(fit) > COOKIES_PER_HOST:
            jar.clear()
        jar.update_cookies_from_headers(fit[:COOKIES_PER_HOST], response_url)

    def filter_cookies(self, request_url: URL = _NO_URL) -> BaseCookie[str]:
        """What goes along with a request."""
        host = request_url.raw_host or ""
        return self._jar(host).filter_cookies(request_url) if host in self._jars else SimpleCookie()

    def _jar(self, host: str) -> aiohttp.CookieJar:
        if host not in self._jars:
            self._jars[host] = aiohttp.CookieJar(unsafe=True)  # unsafe: hosts that are addresses too
            if len(self._jars) > KEPT_HOSTS:
                self._jars.popitem(last=False)
        self._jars.move_to_end(host)
        return self._jars[host]
