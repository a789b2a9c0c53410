"""the text on scanned pages, pixel by pixel

python -m search.run task=examples/text_on_pages.py max_params=5000"""

from data import Splits, load
from spaces.goal import Segment
from spaces.layers import Conv

goal = Segment(patch=64)
references = {"linear": [Conv(2, 9)]}  # a linear model of the 9x9 pixels around each


def data():
    pages = load("documents")
    return Splits.of(*text(pages.train), val=text(pages.val), test=text(pages.test), origin=pages.origin)


def text(split):
    return split.x, [(page < 128).astype("int64") for page in split.y]  # y are the clean pages: 1 where they are dark
