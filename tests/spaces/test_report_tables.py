"""Each row of the five reports' tables is a Network, with the shapes and counts that the report prints.

The reports are numbered as in ../shared/reports, 000 to 004. Where they lie beside this checkout, the tables in
published.py are held against them, so that no row is left out; the networks are checked everywhere.
"""

import math
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from spaces.backbones import vgg16_features
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Layer, Norm, Pool, Reshape, Save, Shape, Upsample
from spaces.network import Network
from tests.spaces.published import LAYER_TABLES, NETWORK_TABLES, PUBLISHED
from trainables.build import build

REPORTS = Path(__file__).parents[3] / "shared" / "reports"
RELU, SIGMOID = Activation(), Activation("sigmoid")


# ---- Tables with a row a layer ----

LAYERED_NETWORKS = {
    **{name: PUBLISHED[name[4:]][0] for name in LAYER_TABLES if name[4:] in PUBLISHED},
    "000 vgg16-features": Network((3, 56, 56), vgg16_features()),
    "003 wide-denoiser 28x28": PUBLISHED["wide-denoiser"][0].resized(28, 28),
}
MISPRINTS = {590_880: 590_080}
"""Report 000, VGG16's block3_conv2 and block3_conv3: 3x3x256 weights and a bias for each of 256 filters."""


class Row(NamedTuple):
    kind: str
    shape: Shape
    """Returns a shape with channels last, as printed."""
    params: int


@pytest.mark.parametrize("name", LAYER_TABLES)
def test_a_table_layer_by_layer(name: str):
    printed, total = printed_rows(name)
    assert sum(MISPRINTS.get(row.params, row.params) for row in printed) == total
    kinds = {row.kind for row in printed}  # a table may leave out its input, and bertoldi's has no row for its dropout
    assert [row for row in rows_of(LAYERED_NETWORKS[name]) if row.kind in kinds] == [as_counted(row) for row in printed]


def printed_rows(name: str) -> tuple[list[Row], int]:
    """Returns a table's rows and its total."""
    *rows, (_, total) = [row.split() for row in LAYER_TABLES[name].split(",")]
    return [Row(kind, tuple(map(int, shape.split("x"))), int(params)) for kind, shape, params in rows], int(total)


def as_counted(row: Row) -> Row:
    """Removes misprints and running statistics: of the 4 numbers printed for a channel, 2 are weights."""
    if row.kind == "Norm":
        assert row.params == 4 * row.shape[-1]
        return row._replace(params=row.params // 2)
    return row._replace(params=MISPRINTS.get(row.params, row.params))


def rows_of(network: Network) -> list[Row]:
    """Returns Keras' table of a network, in which padding other than 'same' is a layer of its own."""
    shape = network.input_shape
    rows = [Row("Input", channels_last(shape), 0)]
    for layer, cost in zip(network.layers, network.trace(), strict=True):
        if isinstance(layer, Conv) and isinstance(layer.padding, int) and 2 * layer.padding != layer.kernel - 1:
            padded = (shape[0], *(side + 2 * layer.padding for side in shape[1:]))
            rows.append(Row("Padding", channels_last(padded), 0))
        rows.append(Row(type(layer).__name__, channels_last(cost.shape), cost.params))
        shape = cost.shape
    return rows


def channels_last(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


@pytest.mark.parametrize("number", ["000", "002", "003", "004"])
def test_the_layered_tables_are_the_reports_own(number: str):
    tables = re.findall(r"^Layer.*\t.*\n((?:.*\t.*\n)+?)Total", read_report(number), re.MULTILINE)
    names = [name for name in LAYER_TABLES if name.startswith(number)]
    assert len(tables) == len(names)
    for name, table in zip(names, tables, strict=True):
        # Activations have rows in one table only, and no weights
        rows = [line.split("\t") for line in table.splitlines() if "(Activation)" not in line]
        found = [(numbers(" ".join(shape)), numbers(params)[-1]) for _, *shape, params in rows]
        assert [(sides(shape), params) for shape, params in found] == [
            (sides(row.shape), row.params) for row in printed_rows(name)[0]
        ]


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def sides(shape: list[int] | Shape) -> list[int]:
    """Returns the sides that are not 1: report 002 prints 784 features as 1x1x784."""
    return [side for side in shape if side > 1]


def read_report(number: str) -> str:
    files = list(REPORTS.glob(f"{number}_*.txt"))
    if not files:
        pytest.skip("no reports in ../shared/reports")
    return files[0].read_text()


# ---- Report 003's tables with a row a network ----

ROWS = {
    f"{table} row {place}": (image, [cell.strip() for cell in row.split("|")])
    for table, (image, rows) in NETWORK_TABLES.items()
    for place, row in enumerate(rows.splitlines(), 1)
}
PUBLISHED_ROWS = {
    "1.1 row 1": "keras-autoencoder",
    "1.2 row 1": "flat-autoencoder",
    "2.1 row 1": "keras-autoencoder",
    "2.2 row 2": "wide-denoiser",
    "3.2 row 1": "dense-denoiser",
    "3.3 row 5": "wide-denoiser",
}


class Reading(NamedTuple):
    """The content of a row. Its convolutions do not include the last one, as the report notes."""

    image: Shape
    num_layers: int
    widths: list[int]
    kernel: int
    """The side of the kernel; 0 for dense layers."""
    pools: int
    dropouts: int
    rate: float
    norms: int


def read_row(name: str) -> Reading:
    image, (layers, *pools, dropouts, norms) = ROWS[name]
    found = re.fullmatch(r"(\d+)L,?(.+?)(?:F\((\d)X\d\))?", layers)
    assert found
    widths = [math.prod(numbers(width)) for width in re.split(r"[,()]+", found[2]) if width]
    rate = float(dropouts.partition("p=")[2].rstrip(")") or 0)
    num_pools = numbers(pools[0])[0] if pools else 0
    return Reading(image, int(found[1]), widths, int(found[3] or 0), num_pools, numbers(dropouts)[0], rate, int(norms))


def convolutional(row: Reading) -> list[Layer]:
    """Reads a row in the simplest way: k norms, poolings or dropouts follow the first k ReLUs of convolutions, in this
    order, and an upsampling each of the last k; one number for both means one of each. A pooling keeps what an odd size
    leaves over, and the upsampling cuts it off (the published keras-autoencoder has a valid convolution instead). The
    last convolution, to one channel, has the row's kernel.
    """
    last = row.num_layers - 1
    layers: list[Layer] = []
    for place, filters in enumerate(conv_widths(row)):
        layers += [Conv(filters, row.kernel), RELU, *[Norm()] * (place < row.norms)]
        layers += [Save(f"{place}"), Pool("max", ceil=True)] * (place < row.pools)
        layers += [Dropout(row.rate)] * (place < row.dropouts)
        layers += [Upsample(like=f"{last - place}")] * (last - place < row.pools)
    return [*layers, Conv(1, row.kernel), SIGMOID]


def conv_widths(row: Reading) -> list[int]:
    """Returns the filters: one number for all layers, or one each; of six layers, three may be mirrored."""
    if len(row.widths) == 1:
        return row.widths * row.num_layers
    return row.widths if len(row.widths) == row.num_layers else [*row.widths, *reversed(row.widths)]


def dense(row: Reading) -> list[Layer]:
    """Gives the last layer the pixels. Of two numbers for six layers, the second is the last hidden layer's, and the
    first that of the others. Norms and dropouts follow the first hidden layers, after the ReLU.
    """
    named = row.widths[: row.num_layers - 1]
    hidden = [named[0]] * (row.num_layers - 1 - len(named)) + named
    layers: list[Layer] = [Flatten()]
    for place, units in enumerate(hidden):
        layers += [Dense(units), RELU, *[Norm()] * (place < row.norms), *[Dropout(row.rate)] * (place < row.dropouts)]
    return [*layers, Dense(math.prod(row.image)), SIGMOID, Reshape(row.image)]


def network_of(name: str) -> Network:
    row = read_row(name)
    return Network(row.image, tuple(convolutional(row) if row.kernel else dense(row)))


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_a_network_from_image_to_image_that_has_what_the_row_counts(name: str):
    row, network = read_row(name), network_of(name)
    kinds = Counter(type(layer) for layer in network.layers)
    assert network.output_shape == network.input_shape
    assert kinds[Conv] + kinds[Dense] == row.num_layers + bool(row.kernel)
    assert kinds[Pool] == kinds[Upsample] == row.pools
    assert (kinds[Dropout], kinds[Norm]) == (row.dropouts, row.norms)


@pytest.mark.parametrize("name", PUBLISHED_ROWS)
def test_a_row_with_a_published_count_has_it_layer_by_layer(name: str):
    published, num_params = PUBLISHED[PUBLISHED_ROWS[name]]
    assert network_of(name).num_params == num_params
    assert weights(network_of(name)) == weights(published)


def weights(network: Network) -> list[int]:
    return [cost.params for cost in network.trace() if cost.params]


def test_the_rows_are_the_reports_own():
    lines = [re.sub(r"\s*\t\s*", "|", line) for line in read_report("003").splitlines()]
    found = [re.search(r"(?:^|\|)(\d+L.*)\|", line) for line in lines]  # without the model's number and its score
    assert [row[1].replace(" ", "").split("|") for row in found if row] == [cells for _, cells in ROWS.values()]


# ---- Every network of a report, built ----

DIGITS_32_64 = (  # Report 001 has no table, and gives no kernel, padding or width: 3, same and 128 are chosen
    *(Conv(32, 3), RELU, Conv(32, 3), RELU, Pool("max"), Conv(64, 3), RELU, Conv(64, 3), RELU, Pool("max")),
    *(Flatten(), Dense(128), RELU, Dense(10)),
)
NETWORKS = {
    **LAYERED_NETWORKS,
    **{f"003 {name}": network_of(name) for name in ROWS},
    "001 digits-32-64": Network((1, 28, 28), DIGITS_32_64),
    "004 resnet18-max-digit": PUBLISHED["resnet18-max-digit"][0],
    "004 torch-max-digit": PUBLISHED["torch-max-digit"][0],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_built_module_has_the_networks_count_and_shape(name: str):
    network = NETWORKS[name]
    module = build(network, device="meta").eval()
    assert sum(weight.numel() for weight in module.parameters()) == network.num_params
    assert module(torch.empty(1, *network.input_shape, device="meta")).shape == (1, *network.output_shape)
