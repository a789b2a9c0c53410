"""Published networks with the parameter counts that their reports print (running statistics not counted)."""

from spaces.network import (
    Activation,
    Backbone,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Network,
    Norm,
    Pool,
    Upsample,
    resnet18_features,
)

RELU, SIGMOID, HALVED = Activation(), Activation("sigmoid"), Pool("max")


def _convs(*filters: int, kernel: int = 3, padding: int | str = "same") -> list[Layer]:
    """Convolutions, each with a ReLU."""
    return [layer for width in filters for layer in (Conv(width, kernel, padding=padding), RELU)]


def _denses(*units: int) -> list[Layer]:
    """Dense layers, with a ReLU after all but the last."""
    return [layer for width in units for layer in (Dense(width), RELU)][:-1]


def _torch_section(filters: int, pool: Pool) -> list[Layer]:
    first, second = (Conv(filters, 3, padding="valid") for _ in range(2))
    return [first, RELU, second, Norm(), RELU, pool, Dropout(0.3)]


def _network(input_shape: tuple[int, int, int], *layers: Layer) -> Network:
    return Network(input_shape, layers)


PUBLISHED: dict[str, tuple[Network, int]] = {
    "bertoldi": (
        _network((1, 28, 28), *_convs(8, 8), HALVED, *_convs(16), HALVED, Flatten(), Dropout(0.1), Dense(10)),
        9_682,
    ),
    "shan-base": (
        _network(
            (1, 28, 28),
            *(*_convs(32, 32, kernel=4, padding="valid"), HALVED, Dropout(0.25)),
            *(*_convs(32, 32, kernel=4, padding="valid"), HALVED, Dropout(0.25)),
            *(Flatten(), Dropout(0.5), Dense(256), RELU, Dropout(0.5), Dense(10)),
        ),
        85_386,
    ),
    "shan-small": (
        _network(
            (1, 28, 28),
            *(*_convs(5, kernel=5, padding=1), *_convs(5, kernel=5, padding="valid"), HALVED, Norm()),
            *(*_convs(7, kernel=5, padding=1), *_convs(7, kernel=5, padding="valid"), HALVED, Norm()),
            *(Flatten(), Dense(49), RELU, Dropout(0.5), Dense(10)),
        ),
        4_819,
    ),
    "shan-vgg16": (
        _network((3, 56, 56), Backbone("vgg16"), Flatten(), Dense(512), Norm(), RELU, Dropout(0.5), Dense(10)),
        14_983_498,
    ),
    "lenet5": (
        _network(
            (1, 28, 28),
            *(*_convs(6, kernel=5, padding=2), HALVED, *_convs(16, kernel=5, padding="valid"), HALVED),
            *(Flatten(), *_denses(120, 84, 10)),
        ),
        61_706,
    ),
    "keras-max-digit": (
        _network(
            (1, 128, 128),
            *(*_convs(64, 64, padding="valid"), Norm(), HALVED, Dropout(0.25)),
            *(*_convs(128, 128, kernel=5, padding="valid"), Norm(), HALVED, Dropout(0.25)),
            *(*_convs(256, 256, padding="valid"), Norm(), HALVED, Dropout(0.25)),
            *(*_convs(128, padding="valid"), Pool("max", 3), Flatten(), *_denses(64, 64, 10)),
        ),
        1_912_010,
    ),
    "resnet18-max-digit": (
        _network((1, 128, 128), *resnet18_features(), GlobalPool(), Dense(10)),
        11_175_370,
    ),
    "torch-max-digit": (
        _network(
            (1, 128, 128),
            *_torch_section(32, HALVED),
            *_torch_section(64, HALVED),
            *_torch_section(128, Pool("max", 3, stride=2)),
            *(Flatten(), Dense(10)),
        ),
        471_210,
    ),
    "keras-autoencoder": (
        _network(
            (1, 28, 28),
            *(layer for filters in (16, 8, 8) for layer in (*_convs(filters), Pool("max", ceil=True))),
            *(*_convs(8), Upsample(), *_convs(8), Upsample(), *_convs(16, padding="valid"), Upsample()),
            *(Conv(1, 3), SIGMOID),
        ),
        4_385,
    ),
    "flat-autoencoder": (
        _network((1, 28, 28), *_convs(16, 16, 16, 16, 16, 16), Conv(1, 3), SIGMOID),
        11_905,
    ),
    "wide-denoiser": (
        _network((1, 420, 540), *_convs(32, 32, 64, 128), Conv(1, 3), SIGMOID),
        103_073,
    ),
    "dense-denoiser": (
        _network((1, 420, 540), Flatten(), *_denses(2000, 2000, 420 * 540), SIGMOID),
        911_430_800,
    ),
}
