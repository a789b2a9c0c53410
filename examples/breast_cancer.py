"""benign or malignant, from 30 measurements

python -m search.run task=examples/breast_cancer.py max_params=300 pruner=none"""

from sklearn.datasets import load_breast_cancer
from torch import nn

from data import Splits
from search.tasks import Scale

scale = Scale(num_trials=32, max_epochs=100)
references = {"logistic": lambda: nn.Linear(30, 2)}


def data():
    cells = load_breast_cancer()
    return Splits.of(cells.data, cells.target_names[cells.target])


def space(choose):
    width, rate = choose.int("width", 2, 16, log=True), choose.float("dropout", 0, 0.5)
    layers = [nn.Linear(30, width), nn.ReLU(), nn.Dropout(rate)]
    if choose.of("deep", [False, True]):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 2))
