"""A trained network as a file: its weights with the candidate they belong to.

from trainables.model import load_model
model = load_model("results/runs/NAME/models/best.pt")
labels = model(images).argmax(1)   # images: uint8 [N, 28, 28]
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spaces.recipe import Candidate
from trainables.build import build
from trainables.training import EVALUATION_BATCH, predict

FORMAT = 1


@dataclass(frozen=True)
class Model:
    """A trained network: called with images uint8 [N, H, W] or [N, C, H, W], it gives outputs float32 [N, ...].

    `facts` says where it comes from: run, task, trial, dataset, fingerprint, score.
    """

    candidate: Candidate
    module: torch.nn.Module
    facts: dict[str, Any]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of one image."""
        return self.candidate.network.input_shape

    def __call__(self, images: np.ndarray | Tensor) -> Tensor:
        """Raises ValueError for images of another shape or type, naming both."""
        given = images if isinstance(images, Tensor) else torch.tensor(images)  # a copy: arrays may be read-only
        x = given.unsqueeze(1) if given.dim() == 3 else given
        if x.dtype != torch.uint8 or tuple(x.shape[1:]) != self.input_shape:
            channels, height, width = self.input_shape
            expected = f"[N, {height}, {width}]" if channels == 1 else f"[N, {channels}, {height}, {width}]"
            raise ValueError(f"the model takes uint8 {expected}, not {given.dtype} {list(given.shape)}")
        with torch.inference_mode():
            batches = [predict(self.module, part, torch.float32) for part in x.split(EVALUATION_BATCH)]
        return torch.cat(batches) if batches else torch.empty(0, *self.candidate.network.output_shape)


def model_bytes(candidate: Candidate, weights: dict[str, Tensor], facts: dict[str, Any]) -> bytes:
    """What a model file holds."""
    file = io.BytesIO()
    weights = {name: value.cpu() for name, value in weights.items()}
    torch.save({"format": FORMAT, "candidate": candidate.to_json(), "weights": weights, "facts": facts}, file)
    return file.getvalue()


def load_model(path: str | Path) -> Model:
    """The model of a file. Raises ValueError, which names the file, where it is none or of another format."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        if held["format"] != FORMAT:
            raise ValueError(f"a model of format {held['format']}; this version of Frugal reads format {FORMAT}")
        candidate = Candidate.from_json(held["candidate"])
        module = build(candidate.network, device="meta")  # not drawn or downloaded: the file has all weights
        module.load_state_dict(held["weights"], assign=True)
        facts = held["facts"]
    except FileNotFoundError:
        raise ValueError(
            f"{path}: there is no such file; a finished run keeps its best model in models/best.pt"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except UnpicklingError:  # torch's own words propose to let the file run code
        raise ValueError(f"{path}: not a model that Frugal saved, nor weights alone") from None
    except Exception as error:  # what a foreign file makes torch.load raise is not documented
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a model that Frugal saved ({type(error).__name__}: {reason})") from None
    return Model(candidate, module.to(memory_format=torch.channels_last).eval(), facts)
