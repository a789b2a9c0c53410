"""documents: the network that best cleans scanned pages of text."""

from data.documents import DOCUMENTS
from search.tasks import Reference, Scale, denoiser
from spaces.autoencoder import autoencoder_space
from spaces.goal import Restore
from spaces.recipe import Candidate, Recipe

HEIGHT, WIDTH = 420, 540  # the size that MACs are counted for; a network takes pages of any size

WIDE_DENOISER = Candidate(
    denoiser.WIDE_DENOISER.network.resized(HEIGHT, WIDTH),
    Recipe(optimizer="adam", learning_rate=1e-3, batch_size=16),
)
"""S. Shanmuhvel, 'Recognising MNIST', section 3.3: 103,073 parameters, a mean squared error of 0.0015 after 25 epochs
of whole pages, and 4.54e-4 after 100 with a batch size of 8. Here it is trained on patches, like all candidates."""

data = DOCUMENTS
goal = Restore(patch=128)
max_params = 500_000
laptop = Scale(num_trials=16, max_epochs=4, max_macs=WIDE_DENOISER.network.num_macs, train_examples=60)
full = Scale(num_trials=256, max_epochs=100)
space = autoencoder_space(
    input_shape=(1, HEIGHT, WIDTH),
    families=("stages", "flat"),
    widths=((8, 32), (12, 64), (16, 96), (16, 96)),
    code_widths=(16, 96),
    kernels=(1, 3, 5),
    skips=("none", "add", "concat"),
    outputs=("sigmoid", "residual"),
    dilations=(False, True),
    batch_sizes=(2, 4, 8),
)
references = {"wide-denoiser": Reference(WIDE_DENOISER, 103_073)}
