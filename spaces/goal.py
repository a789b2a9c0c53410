"""Goals: what a network is trained for, and the metric that a search optimizes. trainables/goals.py computes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from spaces.layers import Shape

Direction = Literal["maximize", "minimize"]
PATCH = 64
"""The side in pixels of patches of images whose sizes differ, unless a goal says otherwise."""


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

    Each kind must declare its `metric`. Its computations are a class that trainables/goals.py lists.
    """

    kinds: ClassVar[dict[str, type[Goal]]] = {}
    metric: Metric

    def __init_subclass__(cls) -> None:
        if "metric" not in vars(cls):
            raise TypeError(f"goal {cls.__name__}: declare its `metric`")
        Goal.kinds[cls.__name__] = cls

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        """Returns the number of examples in an epoch, for images of these shapes."""
        return len(shapes)

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        """Returns the shape of the output that a network must give for one example.

        `y_shape` is the shape of one target, () for labels and single numbers. `num_classes` is the number of classes
        if targets are labels or class maps. Raises ValueError if the goal needs
        other examples or targets.
        """
        if len(input_shape) != 3:
            raise ValueError(
                f"{type(self).__name__} needs images, x [N, H, W] or [N, C, H, W]; here an example is of shape "
                f"{list(input_shape)}. For numbers take Regress(), whose targets are the examples if there is no y"
            )
        return input_shape

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
    """Predict an example's label. The loss is the cross-entropy; the score is the share of correct labels."""

    metric = Metric("validation accuracy", "maximize")

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        if y_shape or num_classes is None:
            raise ValueError(f"Classify needs a label for each example, y [N]; {_describe_targets(y_shape)}")
        return (num_classes,)


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

    patch: int = PATCH

    metric = Metric("validation RMSE", "minimize")

    def side(self, shapes: Sequence[Shape]) -> int:
        """Returns the side of patches in pixels, for images of these shapes [..., height, width]."""
        return min([self.patch, *(min(shape[-2:]) for shape in shapes)])

    def patches(self, shapes: Sequence[Shape]) -> list[int]:
        """Returns the number of patches of each image in an epoch."""
        return [math.ceil(shape[-2] * shape[-1] / self.side(shapes) ** 2) for shape in shapes]

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        return sum(self.patches(shapes))


@dataclass(frozen=True)
class Regress(Goal):
    """Predict numbers: y float [N], [N, K] or of any shape. The score is the RMSE, or the MAE of absolute errors.

    The loss is the mean squared error divided by the targets' variance, or the mean absolute error divided by their
    standard deviation, so that a learning rate suits targets of any unit. Outputs are in the targets' unit. Further
    metrics: r2, and mae beside the RMSE or rmse beside the MAE.
    """

    error: Literal["squared", "absolute"] = "squared"

    def __post_init__(self) -> None:
        if self.error not in ("squared", "absolute"):
            raise ValueError(f"Regress(error={self.error!r}): expected 'squared' or 'absolute'")

    @property
    def metric(self) -> Metric:  # type: ignore[override]
        return Metric("validation RMSE" if self.error == "squared" else "validation MAE", "minimize")

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        return _like_targets(input_shape, y_shape)


@dataclass(frozen=True)
class MultiLabel(Goal):
    """Predict which of K labels an example has: y bool, or 0 and 1, [N, K].

    The loss is the binary cross-entropy of the outputs as logits. The score is the macro F1: the mean F1 of the labels
    that occur in the targets or the predictions, which are the labels of probability 0.5 or more. Further metrics:
    hamming_accuracy, the share of correct answers, and exact_match, the share of examples with correct answers alone.
    """

    metric = Metric("validation macro F1", "maximize")

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        if len(y_shape) != 1:
            raise ValueError(f"MultiLabel needs K answers for each example, y [N, K]; {_describe_targets(y_shape)}")
        return y_shape


@dataclass(frozen=True)
class Segment(Goal):
    """Predict the class of each pixel: y class numbers [N, H, W], or a list of [H, W] if sizes differ.

    The loss is the cross-entropy of each pixel. The score is the mean IoU over the classes that occur in the targets or
    the predictions, each from all pixels of the split. Further metric: pixel_accuracy. Images of one size are
    trained on whole, and others in patches of `patch` x `patch` pixels (64 unless given), as in Restore.
    """

    patch: int | None = None

    metric = Metric("validation mean IoU", "maximize")

    def patching(self, shapes: Sequence[Shape]) -> Restore | None:
        """Returns the rule for patches of images of these shapes, or None if they are trained on whole."""
        if self.patch is None and len({tuple(shape[-2:]) for shape in shapes}) <= 1:
            return None
        return Restore(self.patch or PATCH)

    def num_examples(self, shapes: Sequence[Shape]) -> int:
        patching = self.patching(shapes)
        return patching.num_examples(shapes) if patching else len(shapes)

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        if num_classes is None or len(input_shape) < 2 or len(y_shape) < len(input_shape) - 1:
            raise ValueError(f"Segment needs the class of each pixel, y [N, H, W]; {_describe_targets(y_shape)}")
        return (num_classes, *input_shape[1:])


@dataclass(frozen=True)
class Custom(Goal):
    """Your own loss and score, each a function of outputs [N, ...] and targets [N, ...].

    `loss` returns a tensor of one number, for a batch. `score` returns a number, or a dict of numbers whose first is
    the score and whose others are further metrics, for a whole split. `bounds` are the lowest and the highest possible
    score. JSON holds all but the functions, which come from the task's file.
    """

    loss: Callable[[Any, Any], Any] | None = field(default=None, compare=False, repr=False)
    score: Callable[[Any, Any], Any] | None = field(default=None, compare=False, repr=False)
    direction: Direction = "maximize"
    bounds: tuple[float, float] | None = None
    name: str = ""
    """The score's name for people; by default that of the function."""
    code: str = ""
    """A digest of both functions' text, so that scores of other functions are not compared with these."""

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise ValueError(f"Custom(direction={self.direction!r}): expected 'maximize' or 'minimize'")
        if self.bounds is not None:
            bounds = tuple(self.bounds) if isinstance(self.bounds, Sequence) else ()
            if len(bounds) != 2 or not bounds[0] < bounds[1]:
                raise ValueError(f"Custom(bounds={self.bounds!r}): expected the lowest score and a higher one: (0, 1)")
            object.__setattr__(self, "bounds", bounds)
        if not self.name:
            found = getattr(self.score, "__name__", "score")
            object.__setattr__(self, "name", found if found.isidentifier() else "score")

    @property
    def metric(self) -> Metric:  # type: ignore[override]
        return Metric(f"validation {self.name}", self.direction)

    def output_shape(self, input_shape: Shape, y_shape: Shape, num_classes: int | None = None) -> Shape:
        if num_classes is None or len(y_shape) == 1:
            return _like_targets(input_shape, y_shape)
        return (num_classes, *y_shape)

    def to_json(self) -> dict[str, Any]:
        bounds = None if self.bounds is None else list(self.bounds)
        known = {"goal": "Custom", "name": self.name, "direction": self.direction, "bounds": bounds}
        return known | ({"code": self.code} if self.code else {})


def _like_targets(input_shape: Shape, y_shape: Shape) -> Shape:
    """Returns the targets' shape: one feature for a single number, and one channel for a map of an image's size."""
    return (1, *y_shape) if not y_shape or (len(input_shape) == 3 and y_shape == input_shape[1:]) else y_shape


def _describe_targets(y_shape: Shape) -> str:
    found = f"of shape {list(y_shape)}" if y_shape else "a single value"
    return f"here the target of an example is {found}"
