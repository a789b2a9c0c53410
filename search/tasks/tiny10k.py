"""tiny10k: the best MNIST digit classifier with fewer than 10,000 parameters."""

from data.mnist import MNIST
from search.tasks import Reference, Scale
from spaces.classifier import classifier_space
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Pool, Standardize
from spaces.network import Network
from spaces.recipe import Candidate, Recipe

PIXELS = Standardize(0.1307, 0.3081)
"""The mean and standard deviation of MNIST's training pixels, from 0 to 1."""

BERTOLDI = Candidate(
    Network(
        (1, 28, 28),
        (
            Conv(8, 3),
            Activation(),
            Conv(8, 3),
            Activation(),
            Pool("max", 2),
            Conv(16, 3),
            Activation(),
            Pool("max", 2),
            Flatten(),
            Dropout(0.1),
            Dense(10),
        ),
    ),
    Recipe(optimizer="adam", learning_rate=1e-3, batch_size=128),
)
"""D. Bertoldi, 'Assignment: CNN and MNIST', table 1: 9,682 parameters, 98.65% test accuracy after 10 epochs."""

laptop = full = Scale(num_trials=64, max_epochs=18, max_macs=3_000_000)

data = MNIST
max_params = 9_999
space = classifier_space(
    input_shape=(1, 28, 28),
    num_classes=10,
    widths=((6, 14), (8, 24), (10, 32)),
    max_convs=2,
    min_stages=2,
    pixels=PIXELS,
)
references = {"bertoldi": Reference(BERTOLDI, 9_682)}
gpus_per_trial = 0.25
