"""Named ways to damage a run's files, for tests that a report is made or refused with a message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

Damage = Callable[[], Any]
FAR = 2**62


def damages(folder: Path) -> Iterator[tuple[str, Damage]]:
    """Yields each way to damage each file of a run, with its name."""
    for path in sorted(folder.iterdir()):
        yield from _as_bytes(path)
        if path.suffix == ".parquet":
            yield from _as_table(path)
    yield from _as_yaml(folder / "config.yaml")
    yield from _as_arrays(folder / "samples.npz")


def _as_bytes(path: Path) -> Iterator[tuple[str, Damage]]:
    content = path.read_bytes()
    for name, changed in {
        "empty": b"",
        "cut in half": content[: len(content) // 2],
        "without its end": content[:-1],
        "of zeros": bytes(len(content)),
        "text": b"never mind\n",
        "reversed": content[::-1],
        "flipped in its middle": content[: len(content) // 2] + b"\xff\x00\xff" + content[len(content) // 2 + 3 :],
    }.items():
        yield f"{path.name} {name}", lambda changed=changed: path.write_bytes(changed)
    yield f"{path.name} missing", path.unlink
    for name, make in (("a folder", os.mkdir), ("a pipe", os.mkfifo)):
        yield f"{path.name} {name}", lambda make=make: (path.unlink(), make(path))


def _as_table(path: Path) -> Iterator[tuple[str, Damage]]:
    table = pq.read_table(path)

    def put(changed: pa.Table) -> Damage:
        return lambda: pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)

    yield f"{path.name} without rows", put(table.slice(0, 0))
    yield f"{path.name} with each row twice", put(pa.concat_tables([table, table]))
    yield (
        f"{path.name} with all columns null",
        put(pa.table({f.name: pa.nulls(len(table), f.type) for f in table.schema})),
    )
    for place, field in enumerate(table.schema):
        for name, column in _columns(table[field.name]).items():
            yield f"{path.name} {field.name} {name}", put(table.set_column(place, field.name, column))
        yield f"{path.name} {field.name} missing", put(table.remove_column(place))
    for name, column in {"lists": pa.array([[1]] * len(table)), "structs": pa.array([{"a": 1}] * len(table))}.items():
        yield f"{path.name} param_x of {name}", put(table.append_column("param_x", column))
        yield f"{path.name} metric_x of {name}", put(table.append_column("metric_x", column))


def _columns(column: pa.ChunkedArray) -> dict[str, Any]:
    n, is_first = len(column), pa.array([i == 0 for i in range(len(column))])
    found: dict[str, Any] = {"all null": pa.nulls(n, column.type), "another type": pa.array([[1]] * n)}
    changed: dict[str, Any] = {"first null": None}
    if pa.types.is_floating(column.type):
        changed |= {
            "first NaN": np.nan,
            "first inf": np.inf,
            "first negative": -1.0,
            "first huge": 1e308,
            "first 0": 0.0,
        }
        found |= {"all NaN": pa.array([np.nan] * n, column.type), "all inf": pa.array([np.inf] * n, column.type)}
        found |= {"all negative": pa.array([-1.0] * n, column.type)}
    elif pa.types.is_integer(column.type):
        changed |= {"first negative": -1, "first huge": FAR}
        found |= {"all alike": pa.array([0] * n, column.type), "all different": pa.array(range(n), column.type)}
        found |= {"text": pa.array(["many"] * n)}
    elif pa.types.is_string(column.type):
        changed |= {"first empty": "", "first long": "w" * 100_000, "first with NUL": "a\0b"}
        found |= {"all different": pa.array([f"name {i}" for i in range(n)]), "numbers": pa.array(range(n))}
    elif pa.types.is_timestamp(column.type):
        far = pa.scalar(2**61, pa.int64()).cast(column.type)
        found |= {"far": pa.array([far.value] * n, pa.int64()).cast(column.type)}
        found |= {"all alike": pa.array([0] * n, pa.int64()).cast(column.type)}
    elif pa.types.is_boolean(column.type):
        found |= {"all true": pa.array([True] * n), "all false": pa.array([False] * n)}
    for name, value in changed.items():
        found[name] = pc.if_else(is_first, pa.scalar(value, column.type), column)  # pyright: ignore
    return found


VALUES = {
    **{"null": None, "text": "many", "empty text": "", "a list": [1, 2], "names": {"a": 1}, "true": True},
    **{
        "zero": 0,
        "one": 1,
        "negative": -1,
        "NaN": float("nan"),
        "infinite": float("inf"),
        "huge": 10**30,
        "tiny": 1e-300,
    },
    **{"a long text": "w" * 10_000, "nested": [[[[1]]], {"a": [{"b": None}]}]},
}


def _as_yaml(path: Path) -> Iterator[tuple[str, Damage]]:
    config = yaml.safe_load(path.read_text())
    inner = {(outer, name) for outer, each in config.items() if isinstance(each, dict) for name in each}
    for key in [*((name,) for name in config), *sorted(inner)]:
        for name, value in VALUES.items():
            changed = yaml.safe_load(yaml.safe_dump(config))
            (changed if len(key) == 1 else changed[key[0]])[key[-1]] = value
            yield (
                f"config.yaml {'.'.join(key)} {name}",
                lambda changed=changed: path.write_text(yaml.safe_dump(changed)),
            )
    for name, text in {
        "a list": "[1, 2]",
        "a number": "3",
        "nested without end": "fix: {a: " + "[" * 50_000,
        "nested deeply": "a: " + "[" * 3_000 + "]" * 3_000,
        "its own part": "fix: &a {b: *a}",
        "doubled 60 times": "fix:\n  a0: &a0 [x, x]\n"
        + "".join(f"  a{k + 1}: &a{k + 1} [*a{k}, *a{k}]\n" for k in range(60)),
        "an object": "fix: !!python/object/apply:os.getcwd []",
        "no date": "task: 2024-13-45",
        "a number of 10,000 digits": "max_params: " + "9" * 10_000,
        "a hexadecimal one": "max_params: 0x" + "f" * 10_000,
        "a pinned one": "fix: {a: 0x" + "f" * 10_000 + "}",
        "odd names": "fix: {1: 2, null: 3, [1, 2]: 4}",
        "a date": "task: 2024-12-24\nscale: 12:30\ngit_commit: 1_000",
        "bytes": "task: !!binary aGVsbG8=",
        "no UTF-8": "\udcff\udcfe",
    }.items():
        yield f"config.yaml {name}", lambda text=text: path.write_bytes(text.encode(errors="surrogateescape"))


def _as_arrays(path: Path) -> Iterator[tuple[str, Damage]]:
    with np.load(path) as file:
        arrays = dict(file)

    def put(changed: dict[str, np.ndarray]) -> Damage:
        return lambda: np.savez_compressed(path, **changed)  # pyright: ignore

    yield "samples.npz without arrays", put({})
    yield "samples.npz of other arrays", put({"x": np.zeros(3)})
    for name, array in arrays.items():
        yield f"samples.npz {name} missing", put({key: each for key, each in arrays.items() if key != name})
        for kind, changed in {
            "empty": array[:0] if array.ndim else np.zeros(0),
            "flat": np.zeros(3),
            "one number": np.float64(np.nan),
            "of five dimensions": np.zeros((2, 1, 1, 2, 2), np.uint8),
            "a thin image": np.zeros((0, 5), np.uint8),
            "of decimals": np.full((28, 28), np.nan),
            "of four colours": np.zeros((4, 28, 28), np.uint8),
            "of text": np.array(["x", "y"]),
            "of objects": np.array([{"a": 1}], object),
            "of records": np.zeros(2, [("a", "i4")]),
            "of dates": np.zeros(2, "M8[s]"),
            "of bytes": np.array([b"x"]),
            "huge": np.broadcast_to(np.uint8(0), (1 << 14, 1 << 14)),
        }.items():
            yield f"samples.npz {name} {kind}", put({**arrays, name: np.asarray(changed)})
