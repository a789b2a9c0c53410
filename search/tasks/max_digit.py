"""max_digit: the best classifier of 128x128 images by the largest of their three digits."""

from data.max_digit import max_digit
from search.tasks import Reference, Scale
from spaces.backbones import resnet18_features
from spaces.classifier import classifier_space
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, GlobalPool, Layer, Norm, Pool, Standardize
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.recipes import recipe_parameters

IMAGE = (1, 128, 128)
RELU = Activation()


def _keras_stage(filters: int, kernel: int) -> list[Layer]:
    """Returns two convolutions without padding. The report names no dropout rate: 0.25 is our choice."""
    convs = [layer for _ in range(2) for layer in (Conv(filters, kernel, padding="valid"), RELU)]
    return [*convs, Norm(), Pool("max", 2), Dropout(0.25)]


def _torch_section(filters: int, pool: Pool) -> list[Layer]:
    """Returns two convolutions of one width, since the report names only the widths between sections."""
    first, second = (Conv(filters, 3, padding="valid") for _ in range(2))
    return [first, RELU, second, Norm(), RELU, pool, Dropout(0.3)]


KERAS_MAX_DIGIT = Candidate(
    Network(
        IMAGE,
        (
            *(*_keras_stage(64, 3), *_keras_stage(128, 5), *_keras_stage(256, 3)),
            *(Conv(128, 3, padding="valid"), RELU, Pool("max", 3)),
            *(Flatten(), Dense(64), RELU, Dense(64), RELU, Dense(10)),
        ),
    ),
    Recipe(optimizer="nadam", learning_rate=2e-3, batch_size=32, patience=3),
)
"""B. Furtado, N. Krishna, H. Zhou, 'Modified MNIST Classification', figure 8: 1,912,010 parameters; 97.6% validation
and 96.1% test accuracy after three fits of up to 20 epochs. The report gives no batch size and patience: Keras' 32 and
3 are our choice."""

RESNET18_MAX_DIGIT = Candidate(
    Network(IMAGE, (*resnet18_features(), GlobalPool(), Dense(10))),
    Recipe(optimizer="adadelta", learning_rate=1.0, batch_size=64),
)
"""The same, section V.B: 11,175,370 parameters, 94.5% validation and 93.1% test accuracy after 25 epochs. There it was
trained on outputs that passed a softmax before the loss's own, hence its loss of 1.52; here it is trained on logits.
The report gives no batch size: 64 is our choice."""

TORCH_MAX_DIGIT = Candidate(
    Network(
        IMAGE,
        (
            *_torch_section(32, Pool("max", 2)),
            *_torch_section(64, Pool("max", 2)),
            *_torch_section(128, Pool("max", 3, stride=2)),
            *(Flatten(), Dense(10)),
        ),
    ),
    Recipe(optimizer="adam", learning_rate=1e-3, batch_size=64),
)
"""The same, section V.C: 471,210 parameters, 88.9% validation accuracy after 25 epochs. The batch size
of 64 is our choice."""

data = max_digit(50_000, 10_000)
# Every network predicts 9, the commonest label, for its first hundreds of steps; without batch norm, for thousands.
# ASHA would choose at random at a rung in that phase.
laptop = Scale(
    num_trials=16,
    max_epochs=8,
    grace_epochs=3,
    max_macs=12_000_000,
    dataset=max_digit(24_000, 2_000),
    fix={"batch_norm": True, "padding": "same", "kernel_1": 3, "kernel_2": 3, "augmentation": "none"},
)
full = Scale(num_trials=256, max_epochs=30, grace_epochs=2)
space = classifier_space(
    input_shape=IMAGE,
    num_classes=10,
    widths=((4, 32), (8, 64), (16, 128), (24, 192)),
    max_convs=2,
    min_stages=3,
    pixels=Standardize(0.35, 0.3),
    stems=("pooled", "strided", "strided_4"),
    residual=True,
    max_dropout=0.5,
    recipe=recipe_parameters(learning_rates=(5e-4, 1e-2), batch_sizes=(32, 64)),
)
references = {
    "keras-max-digit": Reference(KERAS_MAX_DIGIT, 1_912_010),
    "resnet18-max-digit": Reference(RESNET18_MAX_DIGIT, 11_175_370),
    "torch-max-digit": Reference(TORCH_MAX_DIGIT, 471_210),
}
