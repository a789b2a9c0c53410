"""Writes scikit-learn's digits as PNGs, a folder for each class, to try a search on images of one's own.

python examples/own_images.py
python -m search.run task=images data=my-digits num_trials=8
"""

from pathlib import Path

from PIL import Image

from data.made.digits import load_made


def main() -> None:
    splits = load_made()
    for split, name in (splits.train, "train"), (splits.val, "val"), (splits.test, "test"):
        assert split.labels is not None
        for position, (image, label) in enumerate(zip(split.x, split.labels, strict=True)):
            folder = Path("my-digits", str(label))
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{name}-{position}.png")


if __name__ == "__main__":
    main()
