"""A reader of a stream: counts pages by their depth, and goes on where it stopped, because it knows its own place.

python depths.py depths.db
"""

import json
import sqlite3
import sys

import rabbitmq

STREAM = "site.items.archive"
TABLES = """
CREATE TABLE IF NOT EXISTS depths (depth INTEGER PRIMARY KEY, pages INTEGER);
CREATE TABLE IF NOT EXISTS counted (key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS place (next INTEGER);
INSERT INTO place SELECT 0 WHERE NOT EXISTS (SELECT * FROM place);
"""
COUNT = "INSERT INTO depths VALUES (?, 1) ON CONFLICT (depth) DO UPDATE SET pages = pages + 1"


def main(path: str) -> None:
    """Count for ever. Every page counts once: place and counts are one transaction, and known keys are left out."""
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    (place,) = database.execute("SELECT next FROM place").fetchone()
    channel = rabbitmq.channel()
    for method, properties, body in channel.consume(STREAM, arguments={"x-stream-offset": place}):
        item = json.loads(body)
        with database:
            if database.execute("INSERT OR IGNORE INTO counted VALUES (?)", (item["_key"],)).rowcount:
                database.execute(COUNT, (item["depth"],))
            database.execute("UPDATE place SET next = ?", (properties.headers["x-stream-offset"] + 1,))
        channel.basic_ack(method.delivery_tag)  # asks for more; the stream keeps the item


if __name__ == "__main__":
    main(*sys.argv[1:])
