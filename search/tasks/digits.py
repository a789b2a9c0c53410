"""digits: the best classifier of Kaggle's 'Digit Recognizer' images."""

from data.digit_recognizer import DIGITS
from search.tasks import Reference, Scale
from search.tasks.tiny10k import PIXELS
from spaces.backbones import Backbone
from spaces.classifier import classifier_space
from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Norm,
    Padding,
    Pool,
    Repeat,
    Standardize,
    Upsample,
)
from spaces.network import Network
from spaces.recipe import Candidate, Recipe

IMAGE = (1, 28, 28)
RELU, HALVED = Activation(), Pool("max", 2)
ADAM = Recipe(optimizer="adam", learning_rate=1e-3, batch_size=128)


def _convs(*filters: int, kernel: int, padding: Padding = "valid") -> list[Layer]:
    return [layer for width in filters for layer in (Conv(width, kernel, padding=padding), RELU)]


SHAN_BASE = Network(
    IMAGE,
    (
        *(*_convs(32, 32, kernel=4), HALVED, Dropout(0.25)),
        *(*_convs(32, 32, kernel=4), HALVED, Dropout(0.25)),
        *(Flatten(), Dropout(0.5), Dense(256), RELU, Dropout(0.5), Dense(10)),
    ),
)
"""T. Shan, 'MNIST data deep learning', model 1: 85,386 parameters, 99.4% validation accuracy within 100 epochs. The
report gives no dropout rates: 0.25 after convolutions and 0.5 around dense layers are our choice, here and below."""

SHAN_SMALL = Network(
    IMAGE,
    (
        *(*_convs(5, kernel=5, padding=1), *_convs(5, kernel=5), HALVED, Norm()),
        *(*_convs(7, kernel=5, padding=1), *_convs(7, kernel=5), HALVED, Norm()),
        *(Flatten(), Dense(49), RELU, Dropout(0.5), Dense(10)),
    ),
)
"""The same, model 2: 4,819 parameters (the report's 4,843 count 24 running statistics), 97.9% within 100 epochs."""

# Prepares images for a backbone: 56x56, in three equal channels, standardized by the means over ImageNet's channels.
COLOURED = (Standardize(0.449, 0.226), Upsample(2), Repeat(3))

SHAN_VGG16 = Network(
    IMAGE,
    (*COLOURED, Backbone("vgg16"), Flatten(), Dense(512), Norm(), RELU, Dropout(0.5), Dense(10)),
)
"""The same, model 3: 14,983,498 parameters, 268,810 of them trainable, 96.8% within 30 epochs. (The report misprints
two of VGG16's layers: 590,080 each.)"""

RESNET18_FROZEN = Network(IMAGE, (*COLOURED, Backbone("resnet18"), GlobalPool(), Dropout(0.5), Dense(10)))
"""Proposed in the same report: ResNet18 (He et al. 2016) instead of VGG16; the head is our choice."""

LENET5 = Network(
    IMAGE,
    (
        *(*_convs(6, kernel=5, padding=2), HALVED, *_convs(16, kernel=5), HALVED),
        *(Flatten(), Dense(120), RELU, Dense(84), RELU, Dense(10)),
    ),
)
"""Proposed there too: LeNet-5 (LeCun et al. 1998), with today's ReLU and max pooling: 61,706 parameters."""

DIGITS_32_64 = Network(
    IMAGE,
    (
        *(*_convs(32, 32, kernel=3, padding="same"), HALVED, *_convs(64, 64, kernel=3, padding="same"), HALVED),
        *(Flatten(), Dropout(0.25), Dense(128), RELU, Dense(10)),
    ),
)
"""'Training CNN on MNIST Dataset': 98.9% validation accuracy after 10 epochs, 98.978% on Kaggle. The article gives no
kernel, padding and hidden width: 3, same and 128 are our choice."""

data = DIGITS
laptop = Scale(num_trials=24, max_epochs=8, train_examples=20_000, val_examples=4_000)
full = Scale(num_trials=256, max_epochs=30)
space = classifier_space(
    input_shape=IMAGE,
    num_classes=10,
    widths=((6, 32), (12, 64), (16, 96)),
    max_convs=2,
    min_stages=2,
    pixels=PIXELS,
)
references = {
    "shan-base": Reference(Candidate(SHAN_BASE, ADAM), 85_386),
    "shan-small": Reference(Candidate(SHAN_SMALL, ADAM), 4_819),
    "shan-vgg16": Reference(Candidate(SHAN_VGG16, ADAM), 14_983_498),
    "resnet18-frozen": Reference(Candidate(RESNET18_FROZEN, ADAM), 11_181_642),
    "lenet5": Reference(Candidate(LENET5, ADAM), 61_706),
    "digits-32-64": Reference(Candidate(DIGITS_32_64, ADAM), 467_818),
}
gpus_per_trial = 0.25
