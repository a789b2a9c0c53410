"""A run whose every text would be markup, script or a template if it were not escaped."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

MARKS = "".join(
    (
        "</script></style></title></textarea><!--<script>hit=1</script>-->]]><svg/onload=hit=1>",
        "<img src=x onerror=hit=1>",
        "<a href=javascript:hit=1>x</a><iframe srcdoc='<script>parent.hit=1</script>'><base href=//x>",
        "<style>*{color:red}",
        "\" onmouseover=hit=1 x=\" ' autofocus onfocus=hit=1 x=' `${hit=1}` {{7*7}} {% raw %}",
        " %{y} $z$ #0072B2 &lt; &#60;",
        " \x01 é 名 \u202e \U0001f600 \u2028 ",
    )
)
HOSTILE = MARKS + "w" * 300
"""A text of more than 300 characters without a possible line break."""
FOLDER = "'\"><img src=x onerror=hit=1>{{7*7}}&lt;名"
TAME = "x"
KEPT = ("run", "status")
"""Columns whose texts the reader makes itself or checks against its own list."""


def spoil(folder: Path, text: str, *, kept: tuple[str, ...] = KEPT) -> Path:
    """Replaces each text in the run's files: tables, parameters' names, config.yaml and samples.npz."""
    for path in folder.glob("*.parquet"):
        pq.write_table(_spoilt_table(pq.read_table(path), text, kept), path)
    if (path := folder / "config.yaml").is_file():
        config = _spoilt_value(yaml.safe_load(path.read_text()), text)
        config["objective"]["direction"] = "maximize"  # the reader checks this against its own list
        path.write_text(yaml.safe_dump(config))
    if (path := folder / "samples.npz").is_file():
        with np.load(path) as file:
            found = dict(file)
        is_text = {name: array.dtype.kind == "U" and name != "kind" for name, array in found.items()}
        np.savez(path, **{n: np.full_like(a, text, f"<U{len(text)}") if is_text[n] else a for n, a in found.items()})
    return folder


def copied(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("report.html"))


def _spoilt_table(table: pa.Table, text: str, kept: tuple[str, ...]) -> pa.Table:
    for place, field in enumerate(table.schema):
        if field.type == pa.string() and field.name not in kept:
            column = table[field.name]
            is_label = field.name in ("label_name", "predicted_name")
            there = pa.array([True] * len(table)) if is_label else column.is_valid()
            values = pc.if_else(there, pa.scalar(text), pa.scalar(None, pa.string()))  # pyright: ignore
            table = table.set_column(place, field, values)
    metadata = table.schema.metadata
    if "score" in table.column_names:
        table = table.append_column("metric_f1", table["score"])
    names = [f"param_{text}{k}" if name.startswith("param_") else name for k, name in enumerate(table.column_names)]
    names = [f"metric_{text}{k}" if name.startswith("metric_") else name for k, name in enumerate(names)]
    return table.rename_columns(names).replace_schema_metadata(metadata)


def _spoilt_value(value: Any, text: str, name: str = "") -> Any:
    if isinstance(value, dict):
        is_free = name in ("fix", "versions")
        return {text if is_free else key: _spoilt_value(each, text, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_spoilt_value(each, text) for each in value]
    return text if isinstance(value, str) else value
