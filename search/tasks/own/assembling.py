"""Makes a Task of a user's parts, with defaults that follow from the data."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from data.builtin import asked_for
from data.splits import Dataset, Say, Split, Splits
from search.tasks import Reference, Scale, Task
from search.tasks.own.function_text import digest_of
from search.tasks.own.parts import Cost, OwnTask, read_parts
from search.tasks.own.shapes import (
    default_goal,
    default_scale,
    input_shape,
    number_of_classes,
    patches_of,
    rescaling,
    sees_several_sizes,
    standardizing,
    stretched,
    target_shape,
)
from spaces.choose import Choose, chosen_space, random_candidates
from spaces.goal import Classify, Custom, Denoise, Goal, Reconstruct, Regress, Restore, Segment
from spaces.layers import InvalidNetwork, Layer, Rescale, Shape, Standardize
from spaces.network import Network
from spaces.own import Own
from spaces.recipe import Candidate, Recipe
from spaces.recipes import choose_recipe, recipe_mistake, recipe_names, with_recipe
from spaces.space import Params, Space
from trainables.task_code import TaskCode, TaskFileError, errors_of

TYPICAL_DRAWS = 40
"""Draws of a space from which the typical cost of its networks is taken."""
SLOW_SECONDS = 3.0
"""How long data() may run before it is announced."""
REFERENCE_RECIPE = Recipe(batch_size=64, schedule="cosine")
"""How a user's references are trained unless the task has one recipe for all."""
BETWEEN_IMAGES = (Reconstruct, Denoise, Restore)
"""Goals whose inputs and outputs are pixels, which stay as they are."""


def declared(name: str, module: ModuleType) -> Task:
    """Returns one of Frugal's own tasks, whose file names all of its parts, so that its data need not be loaded."""
    parts = read_parts(name, str(module.__file__), vars(module))
    laptop, full = parts.laptop or parts.scale, parts.full or parts.scale
    assert isinstance(parts.data, Dataset) and isinstance(parts.space, Space) and laptop and full  # noqa: PT018
    return Task(
        name=name,
        sentence=parts.sentence,
        dataset=parts.data,
        space=parts.space,
        goal=parts.goal or Classify(),
        laptop=laptop,
        full=full,
        max_params=parts.max_params,
        max_code=parts.max_code,
        references=parts.references,
        gpus_per_trial=parts.gpus_per_trial,
        tailor=parts.tailor,
    )


def assemble(parts: OwnTask, code: TaskCode, *, data: str, data_dir: Path) -> Task:
    """Returns the task. Loads its data once: built-in datasets as `data` and `data_dir` ask.

    Raises TaskFileError for a mistake in the user's parts.
    """
    with errors_of(code.path), _announced(code.path), asked_for(data, data_dir):
        splits = parts.data() if callable(parts.data) else parts.data.load(data, data_dir, print)
    if not isinstance(splits, Splits):
        raise TaskFileError(f"{code.path}: data() returned {type(splits).__name__}; expected Splits: Splits.of(x, y)")
    if splits.name == "data":  # the default of Splits.of
        splits = replace(splits, name=parts.name)
    goal = parts.goal or default_goal(splits)
    if isinstance(goal, Custom):
        goal = replace(goal, code=digest_of(goal.loss, goal.score))
    frame = Frame.of(splits, goal, code)
    space = _space(parts, frame)
    scale = parts.scale or _default_scale(parts, frame, space, splits.train)
    return Task(
        name=parts.name,
        sentence=parts.sentence or f"the best network for {parts.name}",
        dataset=_dataset(parts.name, splits),
        space=space,
        goal=frame.goal,
        laptop=_within(parts.laptop or scale, parts.max_macs),
        full=_within(parts.full or scale, parts.max_macs),
        max_params=parts.max_params,
        max_code=parts.max_code,
        references={name: frame.reference(name, made, parts.recipe) for name, made in parts.references.items()},
        gpus_per_trial=parts.gpus_per_trial,
        code=code,
    )


def _default_scale(parts: OwnTask, frame: Frame, space: Space, train: Split) -> Scale:
    """Returns a scale of about ten minutes, which trains networks longer if those within the budget are cheap."""
    patches = patches_of(frame.goal, train)
    scale = default_scale(frame.input_shape, len(train), patches=patches)
    costs = [each.network.num_macs for each in random_candidates(space, TYPICAL_DRAWS, parts.max_params)]
    costs = [macs for macs in costs if macs <= min(scale.max_macs or math.inf, parts.max_macs or math.inf)]
    return stretched(scale, len(train), statistics.median(costs), patches) if costs else scale


def _within(scale: Scale, max_macs: int | None) -> Scale:
    """Returns the scale with the task's own limit on MACs, if it has one."""
    return scale if max_macs is None else replace(scale, max_macs=max_macs)


@contextmanager
def _announced(path: str) -> Iterator[None]:
    """Prints that data() is running if it takes long, since nothing else is printed before."""
    text = f"{path}: waiting for data() ..."
    timer = Timer(SLOW_SECONDS, print, [text], {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _dataset(name: str, splits: Splits) -> Dataset:
    def load(data_dir: Path, say: Say) -> Splits:
        return splits

    return Dataset(name=name, original=load, made=load if splits.origin == "made" else None)


@dataclass(frozen=True)
class Frame:
    """What surrounds each network of a task: the shapes of its input and output, and the scaling of both."""

    goal: Goal
    input_shape: Shape
    output_shape: Shape
    standardize: Standardize | None
    rescale: Rescale | None
    several_sizes: bool
    """Whether networks are trained and scored on images of several sizes."""
    code: TaskCode
    _counts: dict[tuple[Any, ...], Own] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, splits: Splits, goal: Goal, code: TaskCode) -> Frame:
        """Returns the frame for a dataset. Raises TaskFileError if the goal does not fit the data."""
        shape, train = input_shape(splits.train), splits.train
        try:
            num_classes = number_of_classes(splits)
            output = goal.output_shape(shape, target_shape(train), num_classes)
        except ValueError as error:
            raise TaskFileError(f"{code.path}: {error}") from None
        if isinstance(train.x, list) and not isinstance(goal, Restore | Segment):
            kind = type(goal).__name__
            raise TaskFileError(
                f"{code.path}: x has arrays of several sizes, and {kind} needs one size: resize or pad them in data(); "
                "only Segment and Restore take several"
            )
        pixels = isinstance(goal, BETWEEN_IMAGES)
        return cls(
            goal=goal,
            input_shape=shape,
            output_shape=output,
            standardize=None if pixels else standardizing(train),
            rescale=rescaling(train) if isinstance(goal, Regress) else None,
            several_sizes=sees_several_sizes(goal, train),
            code=code,
        )

    def network(self, made: Any, choices: Mapping[str, Any], where: str, name: str = "") -> Network:
        """Returns the network of what the user's function returned: layers, or a module, which is counted.

        Raises InvalidNetwork for layers that leave nothing of an input, and TaskFileError for anything else.
        """
        if isinstance(made, Network):
            made = made.layers
        if made and isinstance(made, list | tuple) and all(isinstance(layer, Layer) for layer in made):
            layers = tuple(made)
        elif _is_module(made):
            layers = (self._counted(made, choices, where, name),)
        else:
            raise TaskFileError(f"{self.code.path}: {where} returned {_kind(made)}")
        first = [] if self.standardize is None or isinstance(layers[0], Standardize) else [self.standardize]
        network = Network(self.input_shape, (*first, *layers, *([self.rescale] if self.rescale else [])))
        self._check_output(network, where)
        return network

    def _check_output(self, network: Network, where: str) -> None:
        """Raises TaskFileError for a network of other inputs or outputs."""
        if (network.input_shape, network.output_shape) != (self.input_shape, self.output_shape):
            raise TaskFileError(
                f"{self.code.path}: {where} gives outputs of shape {_text(network.output_shape)} for inputs of shape "
                f"{_text(network.input_shape)}; {type(self.goal).__name__} needs {_text(self.output_shape)} for "
                f"{_text(self.input_shape)}"
            )

        fixed = [each for each in network.layers if not each.is_local and not isinstance(each, Own)]
        if self.several_sizes and fixed:
            raise TaskFileError(
                f"{self.code.path}: {where} has {type(fixed[0]).__name__}, which takes one size, but images or "
                "patches have several; use layers that keep an image, such as Conv and Norm"
            )

    def reference(self, name: str, made: Any, recipe: object) -> Reference:
        """Returns a network to compare with. Raises TaskFileError."""
        where = f'references["{name}"]'
        if isinstance(made, Reference | Candidate):
            candidate = made.candidate if isinstance(made, Reference) else made
            self._check_output(candidate.network, where)
            return Reference(candidate, candidate.network.num_params)
        if _is_module(made):
            raise TaskFileError(f"{self.code.path}: {where} is a module; expected a function that makes a new one")
        with errors_of(self.code.path), on_meta():
            made = made() if callable(made) else made
        try:
            network = self.network(made, {}, where, name)
        except InvalidNetwork as error:
            raise TaskFileError(f"{self.code.path}: {where}: {error}") from None
        return Reference(
            Candidate(network, recipe if isinstance(recipe, Recipe) else REFERENCE_RECIPE), network.num_params
        )

    def _counted(self, module: Any, choices: Mapping[str, Any], where: str, name: str) -> Own:
        """Returns a module as a layer with its cost. Raises TaskFileError if it cannot be counted."""
        from trainables.counting import CannotCount, count

        key = (name, *choices.items())
        if key not in self._counts:
            try:
                counted = count(lambda: module, self.input_shape)
            except CannotCount as error:
                raise TaskFileError(
                    f"{self.code.path}: {where} returned a module that cannot be counted: {error}"
                ) from None
            self._counts[key] = Own(
                tuple(choices.items()), counted.output_shape, counted.params, counted.macs, counted.frozen, name
            )
        return self._counts[key]


def _space(parts: OwnTask, frame: Frame) -> Space:
    if parts.space is not None and not isinstance(parts.space, Space):
        return _chosen(parts, frame)
    from spaces.defaults import default_space

    space = parts.space or default_space(
        frame.input_shape,
        frame.output_shape,
        frame.goal,
        standardize=frame.standardize,
        rescale=frame.rescale,
        augmentation=parts.augment is not False and not callable(parts.augment),
        max_params=parts.max_params,
        max_macs=parts.max_macs,
    )
    if parts.recipe:
        space = with_recipe(space, partial(_recipe, parts, frame))
    return replace(space, allowed=_gate(parts, frame)) if parts.allowed else space


def _gate(parts: OwnTask, frame: Frame) -> Callable[[Params, Candidate], bool | str]:
    """Returns the user's constraint as the budget's gate calls it."""
    allowed = parts.allowed
    assert allowed is not None

    def is_allowed(params: Params, candidate: Candidate) -> bool | str:
        with errors_of(frame.code.path):
            answer = allowed(params, Cost(candidate.network.num_params, candidate.network.num_macs))
        if not isinstance(answer, bool | np.bool_ | str) or answer == "":
            expected = "expected True, False, or the reason for a rejection as text"
            raise TaskFileError(f"{frame.code.path}: allowed() returned {answer!r:.80}; {expected}")
        return answer

    return is_allowed


def _chosen(parts: OwnTask, frame: Frame) -> Space:
    """Returns the space of the user's function: it chooses a network, then the recipe is chosen."""
    make = parts.space
    assert callable(make)

    def network(choose: Choose) -> Any:
        with errors_of(frame.code.path):
            try:
                with on_meta():
                    return make(choose)
            except Exception:
                if "torch" not in sys.modules:
                    raise
                return make(_Again(choose))  # a module that reads values while it is made cannot be made on meta

    def candidate(choose: Choose) -> Candidate:
        made = network(choose)
        return Candidate(frame.network(made, dict(choose.made), "space()"), _recipe(parts, frame, choose))

    def explore(choose: Choose) -> None:
        network(choose)
        _recipe(parts, frame, choose)

    return chosen_space(candidate, explore=explore, allowed=_gate(parts, frame) if parts.allowed else None)


def _recipe(parts: OwnTask, frame: Frame, choose: Choose) -> Recipe:
    """Returns the user's recipe, or one of Frugal's own choices. Raises TaskFileError."""
    recipe = parts.recipe
    if recipe is None and (taken := [name for name in choose.made if name in recipe_names()]):
        raise TaskFileError(
            f"{frame.code.path}: space() chooses {taken[0]!r}, which the recipe chooses too; rename it, "
            "or define recipe(choose)"
        )
    with errors_of(frame.code.path):
        made = recipe(choose) if callable(recipe) else recipe or _default_recipe(choose, parts, frame)
    if not isinstance(made, Recipe):
        raise TaskFileError(f"{frame.code.path}: recipe() returned a {type(made).__name__}; expected a Recipe")
    if wrong := recipe_mistake(made):
        raise TaskFileError(f"{frame.code.path}: recipe: {wrong}")
    return made


def _default_recipe(choose: Choose, parts: OwnTask, frame: Frame) -> Recipe:
    """Returns a recipe of Frugal's own choices; augmentation and label smoothing only where they make sense."""
    is_image = len(frame.input_shape) == 3
    classifies = isinstance(frame.goal, Classify)
    augmentation = is_image and classifies if parts.augment is None else parts.augment is True
    return choose_recipe(choose, batch_sizes=(16, 32, 64, 128), augmentation=augmentation, label_smoothing=classifies)


class _Again(Choose):
    """Repeats the choices that were made, and makes further ones."""

    def __init__(self, choose: Choose) -> None:
        known = dict(choose.made)

        def again(name: str, distribution: BaseDistribution) -> Any:
            return known[name] if name in known else choose.suggest(name, distribution)

        super().__init__(again)


def on_meta() -> AbstractContextManager[Any]:
    """Returns a context in which modules are made without memory, if the user's file has imported PyTorch."""
    torch = sys.modules.get("torch")
    return torch.device("meta") if torch else nullcontext()


def _is_module(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _kind(made: Any) -> str:
    """Returns what a function returned instead of layers or a module, and what was expected."""
    if made is None:
        return "nothing; expected layers, or a torch.nn.Module: is there a `return`?"
    if isinstance(made, list | tuple):
        if made and all(map(_is_module, made)):
            return "a list of modules; expected one module: nn.Sequential(*modules)"
        kinds = sorted({type(each).__name__ for each in made if not isinstance(each, Layer)})
        return f"a list with {' and '.join(kinds) or 'nothing in it'}; expected layers of spaces.layers alone"
    return f"a {type(made).__name__}; expected a list of layers, or a torch.nn.Module"


def _text(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"
