"""What a network makes of each image it is scored on: predictions of a classifier, pictures of what makes images.

NumPy's own arrays, by name, so that the driver reads them without PyTorch.
"""

from __future__ import annotations

import io

import numpy as np
from torch import Tensor

from trainables.goals import Answer, Predict, Work

NUM_SAMPLES = 4

Arrays = dict[str, np.ndarray]


def answer_arrays(work: Work, predict: Predict) -> Arrays:
    """Of N images: image_score float64 [N], what each contributes to the score, which is the mean of these.

    Of a classifier: predicted int64 [N], probability and label_probability float32 [N].

    Of a network that makes images: error float64 [N], the mean squared one of each image's pixels from 0 to 1; the
    images with the largest errors and those around the median, by their places `worst` and `typical`, int64 [K]; and of
    each such place P the images uint8 [C, H, W] `input_P`, `output_P` and `target_P`.
    """
    whole = [(inputs.cpu(), outputs.cpu(), right.cpu()) for inputs, outputs, right in work.answers(predict)]
    arrays = _of_classifier(whole) if whole[0][1].dim() == 2 else _of_images(whole)
    return {"image_score": work.image_scores(whole).numpy(), **arrays}


def to_bytes(arrays: Arrays) -> bytes:
    """As an .npz file holds them."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def _of_classifier(answers: list[Answer]) -> Arrays:
    probabilities = [outputs.softmax(1) for _, outputs, _ in answers]
    of_labels = [p.gather(1, y[:, None])[:, 0] for p, (_, _, y) in zip(probabilities, answers, strict=True)]
    return {
        "predicted": np.concatenate([p.argmax(1).numpy() for p in probabilities]),
        "probability": np.concatenate([p.amax(1).numpy() for p in probabilities]),
        "label_probability": np.concatenate([p.numpy() for p in of_labels]),
    }


def _of_images(answers: list[Answer]) -> Arrays:
    images = [image for batch in answers for image in zip(*batch, strict=True)]
    error = np.array([(output - target).double().square().mean().item() for _, output, target in images])
    order = np.argsort(-error, kind="stable")
    middle = max(0, (len(order) - NUM_SAMPLES) // 2)
    places = {"worst": order[:NUM_SAMPLES], "typical": order[middle : middle + NUM_SAMPLES]}
    arrays: Arrays = {"error": error, **places}
    for place in {int(place) for chosen in places.values() for place in chosen}:
        for name, image in zip(("input", "output", "target"), images[place], strict=True):
            arrays[f"{name}_{place}"] = _pixels(image)
    return arrays


def _pixels(image: Tensor) -> np.ndarray:
    """uint8 [C, H, W], of an image that is so already or from 0 to 1."""
    return (image if not image.is_floating_point() else (image.clamp(0, 1) * 255).round().byte()).numpy()
