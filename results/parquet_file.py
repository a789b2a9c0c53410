"""Reads Parquet files of unknown origin, within limits: a few bytes can unpack to more than fits in memory."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_VALUES = 10**8
"""The maximum over all columns together. Predictions of 10,000 examples by 100 trainings take a tenth."""
MAX_TEXT_BYTES = 2**30


def read_parquet(content: bytes) -> pa.Table:
    """Returns the table in a file's bytes. Raises ValueError or an error of Arrow if it is damaged or too large."""
    source = pa.BufferReader(content)
    metadata = pq.read_metadata(source)
    names = _check_values(metadata)
    # Text is read as a dictionary, which is no larger than in the file. pq.read_table and threads are avoided, since
    # they abort a process that ends soon after (apache/arrow#34314).
    found = pq.ParquetFile(source, read_dictionary=names).read(use_threads=False)
    found.validate(full=True)
    return _decode_text(found)


def _check_values(metadata: pq.FileMetaData) -> list[str]:
    """Returns the names of all columns. Raises ValueError for a column of lists or structs, or too many values."""
    schema = metadata.schema.to_arrow_schema()
    if nested := [field.name for field in schema if pa.types.is_nested(field.type)]:
        raise ValueError(f"its column {nested[0]} has more than one value in a row")
    groups = [metadata.row_group(position) for position in range(metadata.num_row_groups)]
    columns = [group.column(position) for group in groups for position in range(group.num_columns)]
    num_values = max(metadata.num_rows * len(schema), sum(column.num_values for column in columns))
    if num_values > MAX_VALUES:
        raise ValueError(f"it has {num_values:,} values; the maximum is {MAX_VALUES:,}")
    if (num_bytes := sum(column.total_uncompressed_size for column in columns)) > MAX_TEXT_BYTES:
        raise ValueError(f"it would unpack to {num_bytes:,} bytes; the maximum is {MAX_TEXT_BYTES:,}")
    return schema.names


def _decode_text(found: pa.Table) -> pa.Table:
    """Returns the table with its dictionaries decoded. Raises ValueError if their text would be too long."""
    coded = {field.name: found[field.name] for field in found.schema if pa.types.is_dictionary(field.type)}
    num_bytes = sum(_num_bytes(chunk) for column in coded.values() for chunk in column.chunks)
    if num_bytes > MAX_TEXT_BYTES:
        raise ValueError(f"its text would take {num_bytes:,} bytes; the maximum is {MAX_TEXT_BYTES:,}")
    plain = [column.cast(column.type.value_type) if name in coded else column for name, column in _columns(found)]
    fields = [field.with_type(column.type) for field, column in zip(found.schema, plain, strict=True)]
    return pa.table(plain, schema=pa.schema(fields, found.schema.metadata))


def _columns(found: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(found.column_names, found.columns, strict=True))


def _num_bytes(chunk: pa.DictionaryArray) -> int:
    """Returns the number of bytes of a column's text, with each value counted in each row that has it."""
    if not len(chunk.dictionary) or not _is_text(chunk.dictionary.type):
        return 0
    lengths = pc.binary_length(chunk.dictionary)  # type: ignore[attr-defined]
    return pc.sum(lengths.take(chunk.indices).cast(pa.int64())).as_py() or 0  # type: ignore[attr-defined]


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_binary(type_) or pa.types.is_large_string(type_)
