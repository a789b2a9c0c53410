"""The tasks' published networks with the parameter counts of their reports, and the reports' tables."""

from search import tasks
from spaces.layers import Activation, Dense, Flatten, Shape
from spaces.network import Network

PUBLISHED: dict[str, tuple[Network, int]] = {
    **{
        name: (reference.candidate.network, reference.num_params)
        for task in map(tasks.find, tasks.names())
        for name, reference in task.references.items()
    },
    "dense-denoiser": (  # too large for a reference
        Network(
            (1, 420, 540),
            (Flatten(), *(Dense(2000), Activation()) * 2, Dense(420 * 540), Activation("sigmoid")),
        ),
        911_430_800,
    ),
}
"""Every published network with the number of parameters that its report prints, without running statistics."""

LAYER_TABLES: dict[str, str] = {
    "000 shan-base": """
        Conv 25x25x32 544, Conv 22x22x32 16416, Pool 11x11x32 0, Dropout 11x11x32 0,
        Conv 8x8x32 16416, Conv 5x5x32 16416, Pool 2x2x32 0, Dropout 2x2x32 0,
        Flatten 128 0, Dropout 128 0, Dense 256 33024, Dropout 256 0, Dense 10 2570, Total 85386""",
    "000 shan-small": """
        Padding 30x30x1 0, Conv 26x26x5 130, Conv 22x22x5 630, Pool 11x11x5 0, Norm 11x11x5 20,
        Padding 13x13x5 0, Conv 9x9x7 882, Conv 5x5x7 1232, Pool 2x2x7 0, Norm 2x2x7 28,
        Flatten 28 0, Dense 49 1421, Dropout 49 0, Dense 10 500, Total 4843""",
    "000 vgg16-features": """
        Input 56x56x3 0, Conv 56x56x64 1792, Conv 56x56x64 36928, Pool 28x28x64 0,
        Conv 28x28x128 73856, Conv 28x28x128 147584, Pool 14x14x128 0,
        Conv 14x14x256 295168, Conv 14x14x256 590880, Conv 14x14x256 590880, Pool 7x7x256 0,
        Conv 7x7x512 1180160, Conv 7x7x512 2359808, Conv 7x7x512 2359808, Pool 3x3x512 0,
        Conv 3x3x512 2359808, Conv 3x3x512 2359808, Conv 3x3x512 2359808, Pool 1x1x512 0, Total 14714688""",
    "000 shan-vgg16": """
        Backbone 1x1x512 14714688, Flatten 512 0, Dense 512 262656, Norm 512 2048, Dropout 512 0, Dense 10 5130,
        Total 14984522""",
    "002 bertoldi": """
        Input 28x28x1 0, Conv 28x28x8 80, Conv 28x28x8 584, Pool 14x14x8 0,
        Conv 14x14x16 1168, Pool 7x7x16 0, Flatten 784 0, Dense 10 7850, Total 9682""",
    "003 wide-denoiser 28x28": """
        Input 28x28x1 0, Conv 28x28x32 320, Conv 28x28x32 9248, Conv 28x28x64 18496, Conv 28x28x128 73856,
        Conv 28x28x1 1153, Total 103073""",
    "003 wide-denoiser": """
        Input 420x540x1 0, Conv 420x540x32 320, Conv 420x540x32 9248, Conv 420x540x64 18496,
        Conv 420x540x128 73856, Conv 420x540x1 1153, Total 103073""",
    "004 keras-max-digit": """
        Conv 126x126x64 640, Conv 124x124x64 36928, Norm 124x124x64 256, Pool 62x62x64 0, Dropout 62x62x64 0,
        Conv 58x58x128 204928, Conv 54x54x128 409728, Norm 54x54x128 512, Pool 27x27x128 0, Dropout 27x27x128 0,
        Conv 25x25x256 295168, Conv 23x23x256 590080, Norm 23x23x256 1024, Pool 11x11x256 0, Dropout 11x11x256 0,
        Conv 9x9x128 295040, Pool 3x3x128 0, Flatten 1152 0, Dense 64 73792, Dense 64 4160, Dense 10 650,
        Total 1912906""",
}
"""Tables with a row a layer, by report (as ../shared/reports numbers them) and network, as printed: channels last,
running statistics among the parameters, misprints and all. Rows of activations are left out."""

MNIST, PAGE = (1, 28, 28), (1, 420, 540)
NETWORK_TABLES: dict[str, tuple[Shape, str]] = {
    "1.1": (MNIST, "6L,16,8,8F(3X3) | 3+3 | 0 | 0"),
    "1.2": (
        MNIST,
        """6L,16F(3X3) | 0 | 0 | 0
        6L,16F(3X3) | 0 | 0 | 2
        14L,16F(3X3) | 1 | 2(p=0.2) | 6""",
    ),
    "1.3": (
        MNIST,
        """6L(28*28)(28*28*28) | 4(p=0.2) | 4
        6L(28*28) | 4(p=0.2) | 4
        10L(28*28) | 8(p=0.2) | 8""",
    ),
    "2.1": (MNIST, "6L,16,8,8F(3X3) | 3+3 | 0 | 0"),
    "2.2": (
        MNIST,
        """10L,16F(3X3) | 1 | 2(p=0.2) | 6
        4L,32,32,64,128F(3X3) | 0 | 0 | 0
        4L,16F(3X3) | 2+2 | 0 | 4""",
    ),
    "2.3": (PAGE, "3L(2000,2000,226800) | 2(p=0.2) | 2"),  # under MNIST, but 226,800 are the pixels of a page
    "3.1": (
        PAGE,
        """1L,8F(3X3) | 0 | 0 | 0
        3L,8F(3X3) | 0 | 0 | 0
        3L,16F(3X3) | 0 | 0 | 0
        3L,32F(3X3) | 0 | 0 | 0
        5L,1F(3X3) | 0 | 0 | 0
        5L,8F(3X3) | 0 | 0 | 0
        5L,8F(1X1) | 2+2(2X2) | 0 | 0
        5L,8F(3X3) | 2+2(2X2) | 0 | 0
        5L,8F(5X5) | 2+2(2X2) | 0 | 0
        5L,16F(3X3) | 2+2(2X2) | 0 | 0
        5L,16,16,8,8,8F(3X3) | 2+2(2X2) | 0 | 0
        8L,8F(3X3) | 4+4(2X2) | 0 | 0
        5L,16,8,8,4,4F(3X3) | 2+2(2X2) | 0 | 0
        5L,16,8,8,4,4F(5X5) | 2+2(2X2) | 0 | 0
        5L,16,8,8,8,8F(3X3) | 2+2(2X2) | 0 | 0""",
    ),
    "3.2": (
        PAGE,
        """3L(2000,2000,226800) | 0 | 0
        3L(2000,2000,226800) | 2(p=0.2) | 0
        3L(2000,2000,226800) | 2(p=0.4) | 2
        3L(2000,2000,226800) | 2(p=0.2) | 2""",
    ),
    "3.3": (
        PAGE,
        """4L,16F(3X3) | 2+2(2X2) | 1(p=0.3) | 4
        4L,16F(3X3) | 0 | 0 | 4
        4L,16,16,32,128F(3X3) | 0 | 0 | 4
        4L,32,32,64,128F(3X3) | 0 | 0 | 1
        4L,32,32,64,128F(3X3) | 0 | 0 | 0""",
    ),
}
"""Report 003's tables with a row a network, by section: the shape of the images, and rows in the report's own notation,
without model numbers and scores: layers | poolings with upsamplings (dense ones have none) | dropouts | norms."""
