"""Records in an SQL database: a page's rows replace those that an earlier, killed fetch of it has left.

SQLite, PostgreSQL, MySQL and MariaDB are tested; SQLAlchemy knows more (https://docs.sqlalchemy.org/en/20/dialects/).
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError

from crawl_consumer.errors import OutputFailed, OutputInvalid
from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.sql_tables import PAGE, row_for, table_for
from crawl_consumer.sinks.threads import OwnThread

#: A database that is away, locked or dead-locked is tried again for this long, seconds; then the consumer ends.
GIVE_UP_S = 60.0
#: Pause after the first failure, doubled after each.
_PAUSE_S = 0.05

_Row = tuple[sa.Table, dict[str, object]]


class SqlSink(ItemsOnly):
    """Writes each kind of item to a table of its own; see :class:`crawl_consumer.sink.Sink`.

    Args:
        url: as SQLAlchemy writes it: ``sqlite:///items.db``, ``postgresql+psycopg://user:password@host/db``.

    Raises:
        OutputInvalid: no such kind of database, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url, pool_pre_ping=True, pool_size=1, hide_parameters=True)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise OutputInvalid(
                f"cannot open {_shown(url)}: {error}", remedy="install the database's driver"
            ) from error
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _durable_sqlite)
        self._metadata = sa.MetaData()
        self._tables: dict[type | None, sa.Table] = {}
        self._made: set[sa.Table] = set()
        self._thread: OwnThread
        self._groups: Groups[_Row] = Groups(self._replace)

    def __repr__(self) -> str:
        return f"SqlSink({self._engine.url!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        self._thread = OwnThread("sql")
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._groups.close()
        finally:
            await asyncio.shield(self._close())

    def write(self, record: Record) -> None:
        """Take a record into the next transaction.

        Raises:
            ItemInvalid: a value does not fit into its column.
            OutputFailed: an earlier transaction failed.
        """
        if record.model not in self._tables:
            self._tables[record.model] = table_for(record, self._metadata)
        table = self._tables[record.model]
        self._groups.add((table, row_for(record, table)))

    async def flush(self) -> None:
        """Return when every record written before is committed.

        Raises:
            OutputFailed: the database is away for too long, or refuses the rows.
        """
        await self._groups.flush()

    async def _replace(self, rows: list[_Row]) -> None:
        deadline_s, pause_s = time.monotonic() + GIVE_UP_S, _PAUSE_S
        while True:
            try:
                return await self._thread.run(lambda: self._transaction(rows))
            except (OperationalError, IntegrityError) as error:
                # A dead-lock, a lost connection, or a table or row that another process made at the same moment.
                if time.monotonic() > deadline_s:
                    raise self._failed(error) from error
            except DBAPIError as error:
                raise self._failed(error) from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)

    def _transaction(self, rows: Sequence[_Row]) -> None:
        for table in dict.fromkeys(table for table, _ in rows):
            if table not in self._made:
                self._make(table)
            mine = [row for of, row in rows if of is table]
            with self._engine.begin() as connection:
                connection.execute(sa.delete(table).where(table.c[PAGE].in_({row[PAGE] for row in mine})))
                connection.execute(sa.insert(table), mine)

    def _make(self, table: sa.Table) -> None:
        try:
            table.create(self._engine, checkfirst=True)
        except DBAPIError:
            if not sa.inspect(self._engine).has_table(table.name):  # else another process made it at the same moment
                raise
        there = {column["name"] for column in sa.inspect(self._engine).get_columns(table.name)}
        if missing := [column.name for column in table.columns if column.name not in there]:
            raise OutputFailed(
                f"table {table.name} has no column {', '.join(missing)}",
                remedy="add it with ALTER TABLE, or write to another database",
            )
        self._made.add(table)

    def _failed(self, error: DBAPIError) -> OutputFailed:
        return OutputFailed(
            f"cannot write to {_shown(str(self._engine.url))}: {' '.join(str(error.orig).split())}",
            remedy="mend the database; what was not acknowledged comes again",
        )

    async def _close(self) -> None:
        try:
            await self._thread.run(self._engine.dispose)
        finally:
            self._thread.end()


def _durable_sqlite(connection: Any, _: object) -> None:
    """Write-ahead log, synced at every commit (https://sqlite.org/pragma.html#pragma_synchronous)."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=30000")


def _shown(url: str) -> str:
    """The URL without its password."""
    before, at, after = url.rpartition("@")
    return f"{before.rpartition(':')[0]}:***@{after}" if at and before.count(":") > 1 else url
