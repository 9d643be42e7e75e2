"""A reader of a queue: keeps the title of every page in SQLite. Several of them may run; each item goes to one.

python titles.py titles.db
"""

import json
import sqlite3
import sys

import rabbitmq

QUEUE = "site.items.titles"


def main(path: str) -> None:
    """Take items for ever. Killed at any time it loses none: what was not acknowledged comes again."""
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE IF NOT EXISTS titles (key TEXT PRIMARY KEY, url TEXT, title TEXT)")
    channel = rabbitmq.channel()
    for method, _, body in channel.consume(QUEUE):
        item = json.loads(body)
        with database:  # an item that comes again has the same key
            row = (item["_key"], item["url"], item["title"])
            database.execute("INSERT OR REPLACE INTO titles VALUES (?, ?, ?)", row)
        channel.basic_ack(method.delivery_tag)  # after the row is safe, never before


if __name__ == "__main__":
    main(*sys.argv[1:])
