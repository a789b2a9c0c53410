"""search.run on nodes that only say they have GPUs: workers take their shares, note them, and compute on a CPU.

NOTES in the environment of the cluster names the file; trial 1 has no memory unless a GPU is its own.
"""

import os
import sys
from unittest import mock

from search.cluster.connection import QUIET

os.environ.update(QUIET)  # before Ray is imported, as in the command itself

import ray

from search import run
from search.trials import tuning
from trainables.trainable import TrialTrainable


class OnFakeGpus(TrialTrainable):
    """Notes `TRIAL NODE SHARE` for each step; in __main__, so that Ray pickles it."""

    def setup(self, *args, **kwargs):
        with mock.patch("ray.get_gpu_ids", return_value=[]):
            super().setup(*args, **kwargs)

    def step(self):
        import torch

        context = ray.get_runtime_context()
        share = context.get_assigned_resources().get("GPU", 0)
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(f"{self.config['number']} {context.get_node_id()} {share:g}\n")
        if self.config["number"] == 1 and share < 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().step()


if __name__ == "__main__":
    tuning.TrialTrainable = OnFakeGpus  # type: ignore[misc]
    sys.exit(run.main())
