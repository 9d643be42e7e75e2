import asyncio
import socket

import pytest

from crawl_consumer.errors import HostsInvalid
from crawl_consumer.resolver import HostsResolver, read_hosts


def hosts_of(tmp_path, text):
    path = tmp_path / "hosts"
    path.write_text(text)
    return read_hosts(path)


def test_a_file_of_hosts_is_read_as_etc_hosts_is(tmp_path):
    text = "# ours\n\n127.0.0.2 a.test B.Test  # two names\n::1\tsix.test\n"
    assert hosts_of(tmp_path, text) == {"a.test": "127.0.0.2", "b.test": "127.0.0.2", "six.test": "::1"}


@pytest.mark.parametrize("line", ["127.0.0.2", "a.test 127.0.0.2", "127.0.0.256 a.test"])
def test_a_wrong_line_is_named(tmp_path, line):
    with pytest.raises(HostsInvalid, match="line 2"):
        hosts_of(tmp_path, f"127.0.0.1 fine.test\n{line}\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(HostsInvalid, match="nowhere cannot be read"):
        read_hosts(tmp_path / "nowhere")


def test_names_of_the_file_are_asked_of_nobody_and_others_of_the_system():
    async def main():
        resolver = HostsResolver({"a.test": "127.0.0.2", "six.test": "::1"})
        answers = [await resolver.resolve(name, 80) for name in ("A.test", "six.test", "localhost")]
        await resolver.close()
        return [(first["host"], first["port"], first["family"]) for first, *_ in answers]

    a, six, local = asyncio.run(main())
    assert a == ("127.0.0.2", 80, socket.AF_INET)
    assert six == ("::1", 80, socket.AF_INET6)
    assert local[0] == "127.0.0.1"
