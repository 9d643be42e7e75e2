"""The options that the tools for one URL share."""

from typing import Annotated

import typer

from crawl_consumer.workbench.looking import url_of
from crawl_producer.command import checked

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Where to look.", parser=checked(url_of))]
_CRAWL_HELP = "By the rules of this crawl; may be left out when exchanges.yaml has only one, or is not there."
CrawlOption = Annotated[str | None, typer.Option("--crawl", "-c", metavar="NAME", help=_CRAWL_HELP, show_default=False)]
#: Where -c means something else.
LongCrawlOption = Annotated[str | None, typer.Option("--crawl", metavar="NAME", help=_CRAWL_HELP, show_default=False)]
