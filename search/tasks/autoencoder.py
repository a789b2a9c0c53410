"""autoencoder: the best autoencoder for MNIST digits with a code of at most 128 values."""

from data.mnist import MNIST
from search.tasks import Reference, Scale
from spaces.autoencoder import autoencoder_space
from spaces.goal import Reconstruct
from spaces.layers import Activation, Conv, Layer, Pool, Upsample
from spaces.network import Network
from spaces.recipe import Candidate, Recipe

RECIPE = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=128)


def _conv(filters: int, padding: str = "same") -> list[Layer]:
    return [Conv(filters, 3, padding=padding), Activation()]  # type: ignore[arg-type]


OUTPUT = (Conv(1, 3), Activation("sigmoid"))
HALVED, DOUBLED = Pool("max", 2, ceil=True), Upsample(2)

KERAS_AUTOENCODER = Candidate(
    Network(
        (1, 28, 28),
        (
            *(*_conv(16), HALVED, *_conv(8), HALVED, *_conv(8), HALVED),
            *(*_conv(8), DOUBLED, *_conv(8), DOUBLED, *_conv(16, "valid"), DOUBLED),
            *OUTPUT,
        ),
    ),
    RECIPE,
)
"""S. Shanmuhvel, 'Recognising MNIST', section 1.1, from Keras' tutorial: 4,385 parameters, a code of 128 values, and a
binary cross-entropy of 0.0901 after 50 epochs."""

FLAT_AUTOENCODER = Candidate(
    Network((1, 28, 28), (*(layer for _ in range(6) for layer in _conv(16)), *OUTPUT)),
    RECIPE,
)
"""The same, section 1.2: 11,905 parameters, no bottleneck, 0.0583."""

data = MNIST
goal = Reconstruct()
max_code = 128
laptop = Scale(
    num_trials=32,
    max_epochs=12,
    max_macs=KERAS_AUTOENCODER.network.num_macs,
    train_examples=24_000,
    val_examples=4_000,
)
full = Scale(num_trials=256, max_epochs=50, max_macs=10_000_000)
space = autoencoder_space(
    input_shape=(1, 28, 28),
    families=("stages", "flat", "dense"),
    widths=((2, 16), (3, 24), (4, 32)),
    code_widths=(1, 16),
    code_units=(16, 128),
)
references = {
    "keras-autoencoder": Reference(KERAS_AUTOENCODER, 4_385),
    "flat-autoencoder": Reference(FLAT_AUTOENCODER, 11_905),
}
gpus_per_trial = 0.25
