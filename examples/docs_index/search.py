"""Searches what docs_index.py has found, best first, with SQLite's full-text search (https://sqlite.org/fts5.html).

python search.py docs.db 'quorum queue'
"""

import sqlite3
import sys

#: The index holds no text of its own: it points into the table, whose every change it hears of, a crawl's included.
INDEX = """
CREATE VIRTUAL TABLE search USING fts5(title, text, content='document', tokenize='porter unicode61');
CREATE TRIGGER document_comes AFTER INSERT ON document BEGIN
  INSERT INTO search(rowid, title, text) VALUES (new.rowid, new.title, new.text);
END;
CREATE TRIGGER document_goes AFTER DELETE ON document BEGIN
  INSERT INTO search(search, rowid, title, text) VALUES ('delete', old.rowid, old.title, old.text);
END;
INSERT INTO search(search) VALUES ('rebuild');
"""
#: A title counts for ten words of text.
FIND = """
SELECT url, document.title, snippet(search, 1, '[', ']', ' … ', 12)
FROM search JOIN document ON document.rowid = search.rowid
WHERE search MATCH ? ORDER BY bm25(search, 10, 1) LIMIT 10
"""


def find(path: str, words: str) -> list[tuple[str, str, str]]:
    """The best pages for ``words`` (FTS5's query language): URL, title and a piece of text each."""
    database = sqlite3.connect(path)
    if not database.execute("SELECT * FROM sqlite_schema WHERE name = 'search'").fetchone():
        database.executescript(f"BEGIN; {INDEX} COMMIT;")
    return database.execute(FIND, (words,)).fetchall()


if __name__ == "__main__":
    for found in find(*sys.argv[1:]):
        print("{}\n  {}\n  {}".format(*found))
