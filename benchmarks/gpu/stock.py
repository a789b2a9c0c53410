"""One stock trial as tutorials write it: PyTorch's modules in float32 on torchvision's MNIST. packing.py runs it.

    python benchmarks/gpu/stock.py MODEL DATA_DIR DEVICE KIND BATCH_SIZE LEARNING_RATE EPOCHS TRAIN_IMAGES

MODEL is a file that holds a pickled module. KIND is `loader` (images from a DataLoader) or `resident` (all images on
the device beforehand). It prints the accuracy on 9,000 other images, and imports nothing of Frugal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

MEAN, SD = 0.1307, 0.3081
NUM_TRAIN = 51_000


def main(path: str, folder: str, device: str, kind: str, batch: str, rate: str, epochs: str, train: str) -> None:
    model = torch.load(path, weights_only=False).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=float(rate))
    scaled = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (SD,))])
    mnist = datasets.MNIST(folder, train=True, transform=scaled)
    order = torch.randperm(60_000)
    train_part, val_part = order[: int(train)], order[NUM_TRAIN:]
    if kind == "resident":
        images = mnist.data.to(device).unsqueeze(1).float().div(255).sub(MEAN).div(SD)
        labels = mnist.targets.to(device)

    def batches(part: Tensor, size: int, shuffle: bool) -> Iterable[tuple[Tensor, Tensor]]:
        if kind == "resident":
            order = part[torch.randperm(len(part))] if shuffle else part
            return [(images[indices], labels[indices]) for indices in order.to(device).split(size)]
        return DataLoader(Subset(mnist, part.tolist()), batch_size=size, shuffle=shuffle)

    for _ in range(int(epochs)):
        model.train()
        for x, y in batches(train_part, int(batch), True):
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            held_out = batches(val_part, 1000, False)
            num_right = sum((model(x.to(device)).argmax(1) == y.to(device)).sum().item() for x, y in held_out)
    print(num_right / len(val_part))


if __name__ == "__main__":
    main(*sys.argv[1:])
