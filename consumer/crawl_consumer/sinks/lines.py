"""A record as one line of text: JSON, or CSV under the columns of its kind."""

import csv
import io
from collections.abc import Mapping, Sequence

from pydantic_core import PydanticSerializationError, to_json

from crawl_consumer.errors import ItemInvalid
from crawl_consumer.sink import Record

#: The last field of every record: equal keys are the same item of a page that was fetched again after a crash.
KEY_FIELD = "_key"


def json_line(record: Record) -> bytes:
    """One line of UTF-8 JSON.

    Values may be what JSON knows, dates, sets, dataclasses and pydantic models; NaN and infinity become null.

    Raises:
        ItemInvalid: a value is nothing that JSON can hold.
    """
    fields = {**record.fields, KEY_FIELD: record.key}
    try:
        return to_json(fields, inf_nan_mode="null") + b"\n"
    except PydanticSerializationError:
        raise _unfit(fields) from None


def columns_of(record: Record) -> tuple[str, ...]:
    """The columns that records of this kind have: its own fields, in their order, then the key."""
    return (*map(str, record.fields), KEY_FIELD)


def csv_line(cells: Sequence[object]) -> bytes:
    """One line of RFC 4180 CSV in UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def csv_cells(record: Record, columns: Sequence[str]) -> list[object]:
    """The record's values under these columns; None is empty, and what is no text or number becomes JSON.

    Raises:
        ItemInvalid: it has a field that is none of them, or a value that JSON cannot hold either.
    """
    fields: Mapping[str, object] = {
        **{str(name): value for name, value in record.fields.items()},
        KEY_FIELD: record.key,
    }
    if strange := [name for name in fields if name not in columns]:
        raise ItemInvalid(
            f"item key {strange[0]!r} is no column of the CSV file, whose columns are {', '.join(columns)}",
            remedy="give all items of one kind the same keys, or write JSON lines",
        )
    try:
        return [_cell(fields.get(column)) for column in columns]
    except PydanticSerializationError:
        raise _unfit(fields) from None


def _cell(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    return to_json(value, inf_nan_mode="null").decode().strip('"')


def _unfit(fields: Mapping[str, object]) -> ItemInvalid:
    key = next(key for key, value in fields.items() if not _fits(key, value))
    return ItemInvalid(
        f"item key {key!r}: a {type(fields[key]).__name__} that JSON cannot hold",
        remedy="make it text, a number, a date, or a list or dict of them",
    )


def _fits(key: object, value: object) -> bool:
    try:
        to_json({key: value}, inf_nan_mode="null")
    except PydanticSerializationError:
        return False
    return True
