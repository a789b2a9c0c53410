"""Recipes, which say how to train, and candidates: a network with its recipe."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from spaces.backbones import Backbone
from spaces.network import Network

OptimizerName = Literal["adam", "adamw", "nadam", "rmsprop", "sgd", "adadelta"]
ScheduleName = Literal["constant", "cosine", "one_cycle"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The largest random rotation, shift and zoom of each training image; all 0 means no augmentation."""

    rotation_degrees: float = 0.0
    shift_pixels: float = 0.0
    zoom: float = 0.0
    """A share of the size: 0.1 means from 10% smaller to 10% larger."""

    def __bool__(self) -> bool:
        return bool(self.rotation_degrees or self.shift_pixels or self.zoom)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train. `sgd` has Nesterov momentum 0.9; the other optimizers keep PyTorch's defaults.

    With `ema_decay`, the moving average of the weights, with this decay per step, is validated and kept instead of the
    last weights. `patience` ends training after this number of epochs without a better validation score.
    """

    optimizer: OptimizerName = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: ScheduleName = "constant"
    batch_size: int = 128
    augmentation: Augmentation = field(default_factory=Augmentation)
    label_smoothing: float = 0.0
    ema_decay: float | None = None
    patience: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A network with its recipe. Two candidates are the same trial if their JSON is equal."""

    network: Network
    recipe: Recipe

    def to_json(self) -> str:
        """Returns one line of JSON with sorted keys, so that equal candidates give equal text."""
        value = {"network": self.network.to_json(), "recipe": dataclasses.asdict(self.recipe)}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Candidate:
        """Inverts `to_json`. Raises ValueError if the text is not a candidate."""
        try:
            value: dict[str, Any] = json.loads(text)
            recipe = dict(value["recipe"], augmentation=Augmentation(**value["recipe"]["augmentation"]))
            return cls(Network.from_json(value["network"]), Recipe(**recipe))
        except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise ValueError(f"not a candidate of this version of Frugal: {error!r}") from None


def with_weights(candidate: Candidate, weights: Literal["imagenet", "random"]) -> Candidate:
    """Returns the same candidate with these weights in its backbones."""
    layers = [
        dataclasses.replace(layer, weights=weights) if isinstance(layer, Backbone) else layer
        for layer in candidate.network.layers
    ]
    return dataclasses.replace(candidate, network=dataclasses.replace(candidate.network, layers=tuple(layers)))
