"""The options that the workbench's tools share."""

from typing import Annotated, Any

import typer

from crawl_consumer.workbench.looking import url_of
from crawl_producer.command import checked
from crawl_producer.topology_values import read_network

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Where to look.", parser=checked(url_of))]
_CRAWL_HELP = "By the rules of this crawl; may be left out when exchanges.yaml has only one, or is not there."
CrawlOption = Annotated[str | None, typer.Option("--crawl", "-c", metavar="NAME", help=_CRAWL_HELP, show_default=False)]
#: Where -c means something else.
LongCrawlOption = Annotated[str | None, typer.Option("--crawl", metavar="NAME", help=_CRAWL_HELP, show_default=False)]
#: A list of networks; typer cannot be told of two types.
AllowNetworkOption = Annotated[
    list[Any],
    typer.Option(
        "--allow-network",
        metavar="CIDR",
        help="Go there too, although it is not public: 127.0.0.0/8, for a site on this machine. Repeatable.",
        parser=checked(read_network),
        show_default=False,
    ),
]
