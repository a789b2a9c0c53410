"""The choices of a recipe: `recipe_parameters` lists them, and `choose_recipe` makes them in a function's space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from spaces.choose import Choose, chosen_space, extremes
from spaces.recipe import Augmentation, Candidate, OptimizerName, Recipe, ScheduleName
from spaces.space import Parameter, Params, Space, draw

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd", "adadelta")
LEARNING_RATES = {"sgd": "sgd_learning_rate", "adadelta": "adadelta_learning_rate"}
"""The optimizers with a learning rate parameter of their own, since their useful range differs from Adam's."""
ADAM_RATES = (1e-3, 2e-2)
BATCH_SIZES = (64, 128, 256)
MAX_WEIGHT_DECAY = 1e-3


def recipe_parameters(
    *,
    optimizers: Sequence[str] = OPTIMIZERS,
    learning_rates: tuple[float, float] = ADAM_RATES,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    max_weight_decay: float = MAX_WEIGHT_DECAY,
    augmentation: bool = True,
    label_smoothing: bool = True,
) -> list[Parameter]:
    """Returns the parameters of a recipe, with augmentation and label smoothing only if the task can use them.

    `learning_rates` (low, high) applies to all optimizers except SGD and Adadelta, which have their own ranges. Raises
    ValueError for an unknown optimizer.
    """
    if unknown := [name for name in optimizers if name not in OPTIMIZERS]:
        raise ValueError(f"optimizers: there is no {unknown[0]!r}; there are {', '.join(OPTIMIZERS)}")
    ranges = {"sgd": (2e-2, 0.3), "adadelta": (0.3, 3.0)}
    rates = [
        Parameter(LEARNING_RATES[name], FloatDistribution(low, high, log=True), partial(_has_optimizer, name))
        for name, (low, high) in ranges.items()
        if name in optimizers
    ]
    parameters = [
        Parameter("optimizer", CategoricalDistribution(optimizers)),
        Parameter(
            "learning_rate",
            FloatDistribution(*learning_rates, log=True),
            lambda p: p["optimizer"] not in LEARNING_RATES,
        ),
        *rates,
        Parameter("weight_decay", FloatDistribution(1e-6, max_weight_decay, log=True)),
        Parameter("schedule", CategoricalDistribution(["constant", "cosine", "one_cycle"])),
        Parameter("batch_size", CategoricalDistribution(batch_sizes)),
    ]
    if augmentation:
        parameters += [
            Parameter("augmentation", CategoricalDistribution(["none", "affine"])),
            Parameter("rotation_degrees", FloatDistribution(0, 10), _is_augmented),
            Parameter("shift_pixels", FloatDistribution(0, 2), _is_augmented),
            Parameter("zoom", FloatDistribution(0, 0.1), _is_augmented),
        ]
    if label_smoothing:
        parameters.append(Parameter("label_smoothing", FloatDistribution(0, 0.1)))
    return [
        *parameters,
        Parameter("ema", CategoricalDistribution([False, True])),
        Parameter("ema_decay", FloatDistribution(0.98, 0.998), lambda p: bool(p["ema"])),
    ]


def recipe_of(params: Params) -> Recipe:
    """Returns the recipe of a draw of `recipe_parameters`."""
    rate = params[LEARNING_RATES.get(str(params["optimizer"]), "learning_rate")]
    strengths = {name: float(params.get(name, 0)) for name in ("rotation_degrees", "shift_pixels", "zoom")}
    return Recipe(
        optimizer=params["optimizer"],  # type: ignore[arg-type]
        learning_rate=float(rate),
        weight_decay=float(params["weight_decay"]),
        schedule=params["schedule"],  # type: ignore[arg-type]
        batch_size=int(params["batch_size"]),
        augmentation=Augmentation(**strengths),
        label_smoothing=float(params.get("label_smoothing", 0)),
        ema_decay=float(params["ema_decay"]) if params["ema"] else None,
    )


def choose_recipe(
    choose: Choose,
    *,
    optimizers: Sequence[str] = OPTIMIZERS,
    learning_rates: tuple[float, float] = ADAM_RATES,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    max_weight_decay: float = MAX_WEIGHT_DECAY,
    augmentation: bool = True,
    label_smoothing: bool = True,
) -> Recipe:
    """Returns a recipe of the choices that `recipe_parameters` lists with the same arguments."""
    parameters = recipe_parameters(
        optimizers=optimizers,
        learning_rates=learning_rates,
        batch_sizes=batch_sizes,
        max_weight_decay=max_weight_decay,
        augmentation=augmentation,
        label_smoothing=label_smoothing,
    )
    return recipe_of(draw(parameters, choose.suggest))


def recipe_mistake(recipe: Recipe) -> str | None:
    """Returns what is wrong with a recipe that a user wrote, with what is right, or None."""
    for name, known in (("optimizer", get_args(OptimizerName)), ("schedule", get_args(ScheduleName))):
        if (value := getattr(recipe, name)) not in known:
            return f"{name}={value!r}: expected one of {', '.join(known)}"
    for name, low in (("learning_rate", 0), ("weight_decay", 0), ("label_smoothing", 0), ("batch_size", 1)):
        value, kind = getattr(recipe, name), int if name == "batch_size" else int | float
        if not isinstance(value, kind) or isinstance(value, bool) or not value >= low:
            words = "a whole number above 0" if kind is int else "a number of at least 0"
            return f"{name}={value!r}: expected {words}"
    return None


@cache
def recipe_names() -> frozenset[str]:
    """Returns the names of all choices of a recipe."""
    return frozenset(parameter.name for parameter in recipe_parameters())


def with_recipe(space: Space, choose_other: Callable[[Choose], Recipe]) -> Space:
    """Returns a space of the same networks, whose recipes another function chooses instead."""

    def choose_network(choose: Choose) -> Params:
        def suggest(name: str, distribution: BaseDistribution) -> Any:
            return extremes(distribution)[0] if name in recipe_names() else choose.suggest(name, distribution)

        return space.draw(suggest)

    def candidate(choose: Choose) -> Candidate:
        network = space.build(choose_network(choose)).network
        return Candidate(network, choose_other(choose))

    def explore(choose: Choose) -> None:
        choose_network(choose)
        choose_other(choose)

    return chosen_space(candidate, explore=explore)


def _has_optimizer(name: str, params: Params) -> bool:
    return params["optimizer"] == name


def _is_augmented(params: Params) -> bool:
    return params["augmentation"] != "none"
