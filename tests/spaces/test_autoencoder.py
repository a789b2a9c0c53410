"""Draws from the space of networks from image to image follow their parameters and keep an image's size."""

import math

import pytest
import torch

from search import tasks
from spaces.autoencoder import autoencoder_space
from spaces.layers import Activation, Conv, Dense, Dropout, Join, Layer, Norm, Pool, Upsample
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate
from spaces.recipes import OPTIMIZERS, recipe_of, recipe_parameters
from spaces.space import Params, Space
from tests.spaces.strategies import draws
from trainables.build import build

SPACES = {name: tasks.find(name).space for name in ("autoencoder", "denoiser", "documents")}
DRAWS = {name: draws(space, 200) for name, space in SPACES.items()}
ALL = [(name, params) for name in SPACES for params in DRAWS[name]]


def network_of(name: str, params: Params) -> Network:
    return SPACES[name].build(params).network


def layers_of(network: Network, kind: type[Layer]) -> list:
    return [layer for layer in network.layers if isinstance(layer, kind)]


def widths_of(params: Params) -> list[int]:
    return [int(params[f"width_{stage}"]) for stage in range(1, int(params["stages"]) + 1)]


@pytest.mark.parametrize("name", SPACES)
def test_every_draw_is_a_candidate_that_round_trips_and_gives_an_image_like_its_input(name: str):
    for params in DRAWS[name]:
        candidate = SPACES[name].build(params)
        assert Candidate.from_json(candidate.to_json()) == candidate
        assert SPACES[name].build(dict(params)) == candidate
        assert candidate.network.output_shape == candidate.network.input_shape


def test_conditional_parameters_are_there_just_where_they_apply():
    for name, params in ALL:
        is_staged, is_flat, is_dense = (params["family"] == family for family in ("stages", "flat", "dense"))
        stages = range(1, int(params.get("stages", 0)) + 1)
        assert {key for key in params if key.startswith("width_")} == {f"width_{stage}" for stage in stages}
        assert all((key in params) == is_staged for key in ("stages", "convs", "pooling"))
        assert ("skips" in params) == (is_staged and name != "autoencoder")
        assert ("code" in params) == (is_staged and name != "documents")
        assert ("code_features" in params) == (params.get("code") == "features")
        assert ("code_width" in params) == (is_staged and params.get("code") != "features")
        assert all((key in params) == is_flat for key in ("depth", "width"))
        assert all((key in params) == is_dense for key in ("hidden_layers", "code_units"))
        assert ("hidden_units" in params) == bool(params.get("hidden_layers"))
        assert ("kernel" in params) == (not is_dense)
        assert ("dilated" in params) == (not is_dense and name == "documents")
        assert ("output" in params) == (not is_dense and name != "autoencoder")
        assert ("dropout_rate" in params) == params["dropout"]


def test_a_staged_network_goes_down_and_back_up_as_its_parameters_say():
    for name, params in ALL:
        if params["family"] != "stages":
            continue
        network, widths, num_convs = network_of(name, params), widths_of(params), int(params["convs"])
        is_strided, is_image = params["pooling"] == "strided", "code_width" in params
        down = [width for width in widths for _ in range(num_convs + is_strided)]
        up = [width for width in reversed(widths) for _ in range(num_convs)]
        code = [params["code_width"]] * num_convs if is_image else []
        convs = layers_of(network, Conv)
        assert [conv.filters for conv in convs] == [*down, *code, *up, 1]
        assert [conv.stride for conv in convs].count(2) == len(widths) * is_strided
        assert {conv.kernel for conv in convs[:-1] if conv.stride == 1} == {params["kernel"]}
        dilated = [conv.filters for conv in convs if conv.dilation == 2]
        assert dilated == (code if params.get("dilated") else [])
        pools = [pool.kind for pool in layers_of(network, Pool)]
        assert pools == ([] if is_strided else [params["pooling"]] * len(widths))
        assert len(layers_of(network, Upsample)) == len(widths)
        skips = [join.mode for join in layers_of(network, Join) if join.name.startswith("stage")]
        assert skips == ([] if params.get("skips", "none") == "none" else [params["skips"]] * len(widths))
        if not is_image:
            assert next(dense.units for dense in layers_of(network, Dense)) == params["code_features"]


def test_a_flat_network_is_as_deep_and_wide_as_its_parameters_say():
    for name, params in ALL:
        if params["family"] == "flat":
            *inner, last = layers_of(network_of(name, params), Conv)
            assert [(conv.filters, conv.kernel) for conv in inner] == [(params["width"], params["kernel"])] * params[
                "depth"
            ]
            dilations = [1, 2, 4, 8, 16, 16] if params.get("dilated") else [1] * 6
            assert [conv.dilation for conv in inner] == dilations[: params["depth"]]
            assert (last.filters, last.dilation) == (1, 1)


def test_a_dense_network_is_the_same_on_both_sides_of_its_code():
    for name, params in ALL:
        if params["family"] == "dense":
            network = network_of(name, params)
            hidden = [params["hidden_units"]] * params["hidden_layers"] if params["hidden_layers"] else []
            assert [dense.units for dense in layers_of(network, Dense)] == [*hidden, params["code_units"], *hidden, 784]
            assert not layers_of(network, Conv)


def test_norms_activations_and_dropout_are_what_the_parameters_say():
    for name, params in ALL:
        network = network_of(name, params)
        *inner, last = layers_of(network, Conv) or layers_of(network, Dense)
        activations = [layer.name for layer in layers_of(network, Activation)]
        ends = [] if params.get("output") == "residual" else ["sigmoid"]
        assert set(activations) - {"sigmoid"} == {params["activation"]}
        assert activations[len(activations) - len(ends) :] == ends
        assert "sigmoid" not in activations[:-1]
        assert len(layers_of(network, Norm)) == (len(inner) if params["batch_norm"] else 0)
        rates = [params["dropout_rate"]] if params["dropout"] else []
        assert [layer.rate for layer in layers_of(network, Dropout)] == rates
        if params["family"] != "dense":
            assert all(conv.bias != params["batch_norm"] for conv in inner)
        assert last.bias


def test_a_residual_output_is_added_to_the_input():
    for name, params in ALL:
        is_residual = params.get("output") == "residual"
        network = network_of(name, params)
        assert (network.layers[-1] == Join("input", "add")) == is_residual
    zeroed = build(network_of("denoiser", next(p for n, p in ALL if n == "denoiser" and p.get("output") == "residual")))
    last = [layer for layer in zeroed.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    last.weight.data.zero_()
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(zeroed.eval()(x), x)


def test_every_choice_occurs():
    for name, space in SPACES.items():
        seen = {key: {params[key] for params in DRAWS[name] if key in params} for key in ("family", "skips", "output")}
        assert seen["family"] == set(space.parameters[0].distribution.choices)
        assert seen["skips"] == (set() if name == "autoencoder" else {"none", "add", "concat"})
        assert seen["output"] == (set() if name == "autoencoder" else {"sigmoid", "residual"})


def test_networks_without_features_take_images_of_any_size():
    for name, params in ALL:
        has_features = params["family"] == "dense" or params.get("code") == "features"
        network = network_of(name, params)
        assert network.takes_any_size != has_features
        if not has_features:
            resized = network.resized(101, 67)
            assert (resized.output_shape, resized.num_params) == ((1, 101, 67), network.num_params)


@pytest.mark.parametrize("size", [(37, 22), (5, 1)])
def test_a_built_network_gives_an_image_of_the_size_it_is_given(size: tuple[int, int]):
    for params in DRAWS["documents"][:8]:
        module = build(network_of("documents", params)).eval()
        with torch.inference_mode():
            assert module(torch.rand(1, 1, *size)).shape == (1, 1, *size)


def test_a_code_is_as_narrow_as_its_parameters_say():
    for params in DRAWS["autoencoder"]:
        network = network_of("autoencoder", params)
        if params["family"] == "stages":
            side = math.ceil(28 / 2 ** int(params["stages"]))
            narrowest = params.get("code_features", params.get("code_width", 0) * side**2)
        else:
            narrowest = params.get("code_units", 784 * int(params.get("width", 1)))
        assert network.code_size <= narrowest


def test_a_choice_of_one_is_taken():
    space = autoencoder_space(
        input_shape=(3, 20, 20),
        families=("stages",),
        widths=((4, 8),),
        code_widths=(2, 4),
        skips=("concat",),
        outputs=("residual",),
        dilations=(True,),
    )
    for params in draws(space, 10):
        network = space.build(params).network
        assert [join.mode for join in layers_of(network, Join)] == ["concat", "add"]
        assert 2 in {conv.dilation for conv in layers_of(network, Conv)}
        assert network.output_shape == (3, 20, 20)


@pytest.mark.parametrize("family", ["stages", "flat", "dense"])
def test_a_space_of_one_family_has_its_parameters_alone(family: str):
    space = autoencoder_space(
        input_shape=(1, 12, 12), families=(family,), widths=((4, 8), (4, 8)), code_widths=(2, 4), code_units=(4, 8)
    )
    for params in draws(space, 10):
        assert params["family"] == family
        assert space.build(params).network.output_shape == (1, 12, 12)
    mine = {"stages": "stages", "flat": "depth", "dense": "code_units"}
    names = {parameter.name for parameter in space.parameters}
    assert {name for name in mine.values() if name in names} == {mine[family]}


def test_the_recipe_has_what_its_parameters_say():
    for name, params in ALL:
        recipe = SPACES[name].build(params).recipe
        assert {key: getattr(recipe, key) for key in ("optimizer", "schedule", "batch_size", "weight_decay")} == {
            key: params[key] for key in ("optimizer", "schedule", "batch_size", "weight_decay")
        }
        assert (recipe.learning_rate, recipe.ema_decay) == (params["learning_rate"], params.get("ema_decay"))
        assert (recipe.augmentation, recipe.label_smoothing) == (Augmentation(), 0)


@pytest.mark.parametrize(("name", "share"), [("autoencoder", 0.2), ("denoiser", 0.4), ("documents", 0.4)])
def test_random_draws_often_fit_the_tasks_budget(name: str, share: float):
    task = tasks.find(name)

    def fits(network: Network) -> bool:
        return (
            network.num_macs <= (task.laptop.max_macs or math.inf)
            and network.num_params <= (task.max_params or math.inf)
            and network.code_size <= (task.max_code or math.inf)
        )

    fitting = sum(fits(network_of(name, params)) for params in DRAWS[name])
    assert fitting >= share * len(DRAWS[name]), fitting


def recipe_space(**options) -> Space:
    return Space(
        tuple(recipe_parameters(**options)), lambda params: Candidate(Network((1, 4, 4), ()), recipe_of(params))
    )


def test_a_recipe_has_only_what_a_task_can_do_with():
    names = {parameter.name for parameter in recipe_space().parameters}
    plain = {parameter.name for parameter in recipe_space(augmentation=False, label_smoothing=False).parameters}
    assert names - plain == {"augmentation", "rotation_degrees", "shift_pixels", "zoom", "label_smoothing"}
    for params in draws(recipe_space(augmentation=False, label_smoothing=False), 20):
        recipe = recipe_of(params)
        assert (recipe.augmentation, recipe.label_smoothing) == (Augmentation(), 0)


def test_learning_rates_lie_where_their_optimizer_wants_them():
    wanted = dict.fromkeys(OPTIMIZERS, (1e-3, 2e-2)) | {"sgd": (2e-2, 0.3), "adadelta": (0.3, 3.0)}
    seen = set()
    for params in draws(recipe_space(), 100):
        recipe = recipe_of(params)
        low, high = wanted[recipe.optimizer]
        assert low <= recipe.learning_rate <= high
        assert len([name for name in params if name.endswith("learning_rate")]) == 1
        seen.add(recipe.optimizer)
    assert seen == set(OPTIMIZERS)
    few = {parameter.name for parameter in recipe_space(optimizers=("adam", "sgd")).parameters}
    assert {name for name in few if name.endswith("learning_rate")} == {"learning_rate", "sgd_learning_rate"}


def test_batch_sizes_and_the_most_weight_decay_are_a_tasks_own():
    recipes = [recipe_of(params) for params in draws(recipe_space(batch_sizes=(4, 8), max_weight_decay=1e-5), 50)]
    assert {recipe.batch_size for recipe in recipes} == {4, 8}
    assert max(recipe.weight_decay for recipe in recipes) <= 1e-5
