"""Which spider parses the pages of which queue: the command's, the queue's, the crawl's, or the default one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.spiders.base import Spider, has
from crawl_consumer.spiders.loading import make, spider_class
from crawl_dedup import LedgerName
from crawl_producer import topology_file
from crawl_producer.topology import SpiderSpec, Topology
from crawl_producer.topology_problems import problems
from crawl_producer.topology_yaml import Path as KeyPath


def spiders_for(
    queues: Sequence[str], topology: Topology, *, named: str | None = None, file: Path | None = None
) -> Mapping[str, Spider]:
    """The spider of each queue. Queues of one crawl and group that name the same one, with the same settings, share it.

    Args:
        queues: work queues.
        topology: exchanges.yaml.
        named: one for all of them (``--spider``), with the settings that exchanges.yaml has for it.
        file: where exchanges.yaml is, for errors.

    Raises:
        SpiderInvalid: see :func:`crawl_consumer.spiders.loading.load_spider`; a wrong setting is named by file, line
            and key; or two classes of one crawl wait for its end under the same name.
    """
    chosen: dict[str, Spider] = {}
    made: list[tuple[LedgerName, SpiderSpec | None, Spider]] = []
    for queue in queues:
        spec, path = _spec(queue, topology, named)
        ledger = LedgerName(topology.queues[queue].crawl, topology.queues[queue].group)
        known = next((spider for name, other, spider in made if (name, other) == (ledger, spec)), None)
        chosen[queue] = known or (Spider() if spec is None else _make(spec, path, file))
        made.append((ledger, spec, chosen[queue]))
    _check_names({(ledger, spider.name, type(spider)) for ledger, _, spider in made if has(spider, "on_finish")})
    return chosen


def _check_names(ending: Iterable[tuple[LedgerName, str, type]]) -> None:
    """Of spiders of one name only one is told that the crawl is complete."""
    known: dict[tuple[LedgerName, str], type] = {}
    for ledger, name, kind in ending:
        if (other := known.setdefault((ledger, name), kind)) is not kind:
            both = " and ".join(sorted([kind.__qualname__, other.__qualname__]))
            said = f"{both} of crawl {ledger.crawl} have the same name, {name!r}, and on_finish of one would be called"
            raise SpiderInvalid(said, remedy="give each a name of its own")


def _spec(queue: str, topology: Topology, named: str | None) -> tuple[SpiderSpec | None, KeyPath]:
    crawl = topology.queues[queue].crawl
    written: list[tuple[SpiderSpec | None, KeyPath]] = [
        (topology.queues[queue].spider, ("queues", queue, "spider")),
        (topology.crawls[crawl].spider, ("crawls", crawl, "spider")),
    ]
    if named is None:
        return next(((spec, path) for spec, path in written if spec), (None, ()))
    ours = ((spec, path) for spec, path in written if spec and spec.class_name == named)
    return next(ours, (SpiderSpec.model_validate(named), ()))


def _make(spec: SpiderSpec, path: KeyPath, file: Path | None) -> Spider:
    try:
        kind = spider_class(spec.class_name)
    except SpiderInvalid as error:
        raise SpiderInvalid(_at(file, (*path, "class"), str(error)), remedy=error.remedy) from error
    try:
        return make(kind, spec.class_name, spec.settings)
    except ValidationError as error:
        said = "\n".join(_lines(error, kind, (*path, "settings"), file))
        raise SpiderInvalid(said, remedy=f"{spec.class_name} says in its Settings what there is") from None


def _lines(error: ValidationError, kind: type[Spider], path: KeyPath, file: Path | None) -> Iterator[str]:
    for problem in problems(error, kind.Settings):
        text = f"{problem.text}; {problem.remedy}" if problem.remedy else problem.text
        yield _at(file, (*path, *problem.path), text)


def _at(file: Path | None, path: KeyPath, text: str) -> str:
    """One line; of the command's own spider, which no file names, only the text."""
    if not path[:-1]:
        return text
    key = ".".join(map(str, path))
    return f"{key}: {text}" if file is None else f"{topology_file.place(file, path)}: {key}: {text}"
