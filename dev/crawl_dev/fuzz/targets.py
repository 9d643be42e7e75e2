"""All targets, by name."""

from collections.abc import Mapping

from crawl_dev.fuzz import bodies, messages, pages, urls
from crawl_dev.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target for target in (*messages.TARGETS, *pages.TARGETS, *bodies.TARGETS, *urls.TARGETS)
}
