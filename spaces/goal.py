"""Goals: what a network is trained for, and the metric that a search optimizes. trainables/goals.py computes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from spaces.layers import Shape

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Metric:
    """The score that a search optimizes: its name for people and its direction."""

    name: str
    direction: Direction

    def signed(self, score: float) -> float:
        """Returns the score with the sign that makes larger better."""
        return score if self.direction == "maximize" else -score


class Goal:
    """What a network is trained for: a small frozen dataclass, which round-trips through JSON.

    Each kind must declare its `metric`. Its computations are a class of trainables/goals.py.
    """

    kinds: ClassVar[dict[str, type[Goal]]] = {}
    metric: ClassVar[Metric]

    def __init_subclass__(cls) -> None:
        if "metric" not in vars(cls):
            raise TypeError(f"goal {cls.__name__}: declare its `metric`")
        Goal.kinds[cls.__name__] = cls

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        """Returns the number of examples in an epoch, for images of these shapes."""
        return len(shapes)

    def to_json(self) -> dict[str, Any]:
        assert dataclasses.is_dataclass(self)
        return {"goal": type(self).__name__, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Goal:
        """Inverts `to_json`. Raises ValueError for an unknown goal."""
        fields = dict(value)
        name = fields.pop("goal", None)
        if name not in cls.kinds:
            raise ValueError(f"no goal is called {name!r}; there are {', '.join(cls.kinds)}")
        return cls.kinds[name](**fields)


@dataclass(frozen=True)
class Classify(Goal):
    """Predict an image's label. The loss is the cross-entropy; the score is the share of correct labels."""

    metric = Metric("validation accuracy", "maximize")


@dataclass(frozen=True)
class Reconstruct(Goal):
    """Reproduce an image through a narrow network.

    The loss is the binary cross-entropy in nats per pixel. It cannot fall below the entropy of the pixels, which are
    not bits, so the score is the excess over that. Further metric: mse.
    """

    metric = Metric("validation excess cross-entropy", "minimize")


@dataclass(frozen=True)
class Denoise(Goal):
    """Remove Gaussian noise of standard deviation `sigma` from an image; pixels are 0 to 1, noisy ones are clipped.

    The loss and the score are the mean squared error. Further metrics: psnr in dB, ssim.
    """

    sigma: float = 0.5

    metric = Metric("validation mean squared error", "minimize")


@dataclass(frozen=True)
class Restore(Goal):
    """Turn an image of any size into its target image.

    The loss is the mean squared error of random patches of `patch` x `patch` pixels, or of the smallest image's side;
    an epoch has as many patches as cover all images. The score is the root mean squared error over all pixels.
    """

    patch: int = 64

    metric = Metric("validation RMSE", "minimize")

    def side(self, shapes: Sequence[Shape]) -> int:
        """Returns the side of patches in pixels, for images of these shapes [..., height, width]."""
        return min([self.patch, *(min(shape[-2:]) for shape in shapes)])

    def patches(self, shapes: Sequence[Shape]) -> list[int]:
        """Returns the number of patches of each image in an epoch."""
        return [math.ceil(shape[-2] * shape[-1] / self.side(shapes) ** 2) for shape in shapes]

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        return sum(self.patches(shapes))
