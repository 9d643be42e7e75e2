"""One SQL table for each kind of item: columns from the model's fields, rows under the page's fingerprint.

A field's type decides its column: ``int`` BIGINT, ``float`` DOUBLE, ``bool``, ``str`` TEXT, ``bytes`` BLOB, ``date``,
``datetime``, ``Decimal`` NUMERIC; anything else, and the one field ``item`` of a plain mapping, is JSON.
"""

import re
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json
from sqlalchemy.dialects import mysql

from crawl_consumer.errors import ItemInvalid
from crawl_consumer.sink import Record

#: The columns that every table begins with; together its primary key.
PAGE, NUMBER = "_page", "_number"

_PAGE_CHARS = 64  #: a fingerprint is a bucket in hex, a dot and a 64-bit integer
_TYPES: dict[type, Any] = {
    bool: sa.Boolean(),
    int: sa.BigInteger(),
    float: sa.Double(),
    str: sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"),  # MySQL's TEXT ends at 64 KiB
    bytes: sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"),
    datetime: sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
    date: sa.Date(),
    Decimal: sa.Numeric(38, 12),
}
_BIGINT = range(-(2**63), 2**63)
_MOST = Decimal(10) ** 26  #: NUMERIC(38, 12) has so much room before the point


def table_for(record: Record, metadata: sa.MetaData) -> sa.Table:
    """The table of the record's kind; made in the metadata, not yet in the database."""
    name = _snake(record.kind)
    fields = {"item": object} if record.model is None else _annotations(record.model)
    columns = [sa.Column(field, _TYPES.get(_plain(kind), sa.JSON())) for field, kind in fields.items()]
    return sa.Table(
        name,
        metadata,
        sa.Column(PAGE, sa.String(_PAGE_CHARS), primary_key=True),
        sa.Column(NUMBER, sa.Integer(), primary_key=True, autoincrement=False),
        *columns,
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )


def row_for(record: Record, table: sa.Table) -> dict[str, object]:
    """The record's row.

    Raises:
        ItemInvalid: a value does not fit into its column.
    """
    fields = {"item": record.fields} if record.model is None else record.fields
    row = {name: _cell(table.columns[name], value) for name, value in fields.items()}
    return {PAGE: record.page, NUMBER: record.number} | row


def _annotations(model: Any) -> Mapping[str, Any]:
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    hints = typing.get_type_hints(model)
    return {name: hints[name] for name in model.__dataclass_fields__}


def _plain(annotation: Any) -> Any:
    """``X`` for ``X | None``, and for ``Annotated[X, …]``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        others = [arg for arg in typing.get_args(annotation) if arg is not types.NoneType]
        return _plain(others[0]) if len(others) == 1 else object
    return annotation


def _cell(column: sa.Column[Any], value: object) -> object:
    if value is None:
        return sa.null() if isinstance(column.type, sa.JSON) else None
    match column.type:
        case sa.JSON():
            return _json(column.name, value)
        case sa.Text():
            # PostgreSQL's text cannot hold NUL, and no database half a character.
            text = _fitting(column.name, value, str)
            return text.replace("\0", "�").encode("utf-8", "replace").decode()
        case sa.BigInteger():
            number = _fitting(column.name, value, int)
            if number not in _BIGINT:
                raise ItemInvalid(f"item key {column.name!r}: {number} is beyond 64 bits", remedy="make it text")
            return number
        case sa.Numeric():
            number = _fitting(column.name, value, Decimal)
            if not number.is_finite() or abs(number) >= _MOST:
                raise ItemInvalid(f"item key {column.name!r}: {number} fits into no column", remedy="make it text")
            return number
        case sa.Double():
            return float(_fitting(column.name, value, int | float))
        case _:
            return _fitting(column.name, value, column.type.python_type)


def _fitting(name: str, value: object, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise ItemInvalid(
            f"item key {name!r}: a {type(value).__name__} in a column of {getattr(kind, '__name__', kind)}",
            remedy="make it what the item's class says",
        )
    return value


def _json(name: str, value: object) -> object:
    try:
        return from_json(to_json(value, inf_nan_mode="null"))
    except (PydanticSerializationError, ValueError) as error:
        raise ItemInvalid(f"item key {name!r}: {error}", remedy="make it text, a number, a list or a dict") from None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
