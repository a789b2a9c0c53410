"""Goal: what a network is trained for, and the metric that a search goes by. trainables/goals.py does the work."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from spaces.layers import Shape


@dataclass(frozen=True)
class Metric:
    """What a search improves: a name for people, and in which direction better lies."""

    name: str
    direction: Literal["maximize", "minimize"]

    def signed(self, score: float) -> float:
        """The score as one to be maximized."""
        return score if self.direction == "maximize" else -score


class Goal:
    """What a network is trained for: a small frozen record, which round-trips through JSON."""

    kinds: ClassVar[dict[str, type[Goal]]] = {}
    metric: ClassVar[Metric]

    def __init_subclass__(cls) -> None:
        if "metric" not in vars(cls):
            raise TypeError(f"goal {cls.__name__}: does not say its `metric`, which each must")
        Goal.kinds[cls.__name__] = cls

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        """How many examples an epoch has, of images of these shapes."""
        return len(shapes)

    def to_json(self) -> dict[str, Any]:
        assert dataclasses.is_dataclass(self)
        return {"goal": type(self).__name__, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Goal:
        """The inverse of `to_json`. Raises ValueError for a goal that is not known."""
        fields = dict(value)
        name = fields.pop("goal", None)
        if name not in cls.kinds:
            raise ValueError(f"no goal is called {name!r}; there are {', '.join(cls.kinds)}")
        return cls.kinds[name](**fields)


@dataclass(frozen=True)
class Classify(Goal):
    """Tell an image's label. Trained on cross-entropy; the score is the share of labels that are right."""

    metric = Metric("validation accuracy", "maximize")


@dataclass(frozen=True)
class Reconstruct(Goal):
    """Give an image back, through a network that is too narrow for it.

    Trained on binary cross-entropy in nats a pixel. Since pixels are no bits, it cannot fall below the entropy of the
    pixels themselves, so the score is what lies above that. Further metric: mse.
    """

    metric = Metric("validation excess cross-entropy", "minimize")


@dataclass(frozen=True)
class Denoise(Goal):
    """Take Gaussian noise of standard deviation `sigma` off an image from 0 to 1; noisy pixels are clipped to that.

    Trained on the mean squared error, which is also the score. Further metrics: psnr in dB, ssim.
    """

    sigma: float = 0.5

    metric = Metric("validation mean squared error", "minimize")


@dataclass(frozen=True)
class Restore(Goal):
    """Turn an image into its target image, whatever its size.

    Trained on the mean squared error of random patches of `patch` x `patch` pixels, or of the smallest image's side, as
    many in an epoch as cover all images; the score is the root mean squared error over all pixels of whole images.
    """

    patch: int = 64

    metric = Metric("validation RMSE", "minimize")

    def side(self, shapes: Sequence[Shape]) -> int:
        """Of the patches from images of these shapes [..., height, width]."""
        return min([self.patch, *(min(shape[-2:]) for shape in shapes)])

    def patches(self, shapes: Sequence[Shape]) -> list[int]:
        """How many patches each image gives in an epoch."""
        return [math.ceil(shape[-2] * shape[-1] / self.side(shapes) ** 2) for shape in shapes]

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        return sum(self.patches(shapes))
