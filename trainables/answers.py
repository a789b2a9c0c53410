"""The results of a network for each example that it is scored on, as named NumPy arrays.

The driver reads them without PyTorch.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor

from trainables.work import Answer, Predict, Work

NUM_SAMPLES = 4

Arrays = dict[str, np.ndarray]


def answer_arrays(work: Work, predict: Predict) -> Arrays:
    """Returns arrays for N examples: image_score float64 [N] holds their contributions, whose mean is the score.

    A classifier adds predicted int64 [N], and probability and label_probability float32 [N].

    A network that gives images adds error float64 [N], the mean squared error of each image's pixels (0 to 1); `worst`
    and `typical` int64 [K], the indices of the images with the largest errors and of those around the median; and for
    each such index I the images uint8 [C, H, W] `input_I`, `output_I` and `target_I`.

    A network that gives class maps adds the same, where the error is the share of wrong pixels, and `output_I` and
    `target_I` are class numbers uint8 [1, H, W]. An input that is not bytes is scaled to 0 to 255.

    Any other network adds its outputs, value float32 [N, ...].
    """
    whole = [(inputs.cpu(), outputs.cpu(), right.cpu()) for inputs, outputs, right in work.answers(predict)]
    match work.gives:
        case "classes":
            arrays = _classifier_arrays(whole)
        case "images":
            arrays = _image_arrays(whole)
        case "maps":
            arrays = _map_arrays(whole)
        case "values":
            arrays = {"value": np.concatenate([outputs.numpy() for _, outputs, _ in whole])}
    return {"image_score": work.image_scores(whole).numpy(), **arrays}


def to_bytes(arrays: Arrays) -> bytes:
    """Returns the content of an .npz file with these arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _classifier_arrays(answers: list[Answer]) -> Arrays:
    probabilities = [outputs.softmax(1) for _, outputs, _ in answers]
    at_labels = [p.gather(1, y[:, None])[:, 0] for p, (_, _, y) in zip(probabilities, answers, strict=True)]
    return {
        "predicted": np.concatenate([p.argmax(1).numpy() for p in probabilities]),
        "probability": np.concatenate([p.amax(1).numpy() for p in probabilities]),
        "label_probability": np.concatenate([p.numpy() for p in at_labels]),
    }


def _image_arrays(answers: list[Answer]) -> Arrays:
    images = [image for batch in answers for image in zip(*batch, strict=True)]
    error = np.array([(output - target).double().square().mean().item() for _, output, target in images])
    arrays, chosen = _with_samples(error)
    for index in chosen:
        for name, image in zip(("input", "output", "target"), images[index], strict=True):
            arrays[f"{name}_{index}"] = _pixels(image)
    return arrays


def _map_arrays(answers: list[Answer]) -> Arrays:
    images = [image for batch in answers for image in zip(*batch, strict=True)]
    error = np.array([(output != target).double().mean().item() for _, output, target in images])
    arrays, chosen = _with_samples(error)
    for index in chosen:
        image, *maps = images[index]
        arrays[f"input_{index}"] = _pixels(_scaled(image) if image.is_floating_point() else image)
        for name, classes in zip(("output", "target"), maps, strict=True):
            arrays[f"{name}_{index}"] = classes.to(torch.uint8).unsqueeze(0).numpy()
    return arrays


def _with_samples(error: np.ndarray) -> tuple[Arrays, list[int]]:
    """Returns the errors with the indices of the worst and the typical images, and these indices without repetition."""
    order = np.argsort(-error, kind="stable")
    middle = max(0, (len(order) - NUM_SAMPLES) // 2)
    samples = {"worst": order[:NUM_SAMPLES], "typical": order[middle : middle + NUM_SAMPLES]}
    return {"error": error, **samples}, sorted({int(index) for chosen in samples.values() for index in chosen})


def _scaled(image: Tensor) -> Tensor:
    """Returns values shifted and scaled to 0 to 1."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)


def _pixels(image: Tensor) -> np.ndarray:
    """Returns an image [C, H, W], uint8 or float from 0 to 1, as uint8."""
    return (image if not image.is_floating_point() else (image.clamp(0, 1) * 255).round().byte()).numpy()
