"""A run's config.yaml, which may be anybody's, as plain values."""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 200_000
"""Ours have some 3,000; YAML's reader takes a megabyte for seconds."""


class _Loader(yaml.SafeLoader):
    """Without references, by which a few lines stand for billions of values, or hold themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to another place of its own, as with *NAME")
        return super().compose_node(parent, index)


def parse_config(content: bytes) -> Any:
    """The values of a config.yaml. Raises ValueError, without the file's name, for one that is damaged."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, where a run's own has some 3,000")
    try:
        return yaml.load(content, _Loader)
    except RecursionError:
        raise ValueError("its values lie too deep in each other") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ValueError(" ".join(str(reason).rstrip(".").split())) from None
