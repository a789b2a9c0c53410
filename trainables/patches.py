"""Random patches of images of any sizes, drawn on the device that holds the images."""

from __future__ import annotations

import torch
from torch import Tensor


class Patches:
    """Draws random patches of pages [C, H, W] of any sizes and of their targets, from rows that hold all pixels."""

    def __init__(self, x: list[Tensor], y: list[Tensor], side: int, num_patches: list[int]) -> None:
        device, sizes = x[0].device, torch.tensor([page.shape[-2:] for page in x])
        self.x, self.y = (torch.cat([page.flatten(1) for page in pages], dim=1) for pages in (x, y))
        self.starts = (sizes.prod(1).cumsum(0) - sizes.prod(1)).to(device)
        self.widths = sizes[:, 1].to(device)
        self.corners = (sizes - side + 1).double().to(device)
        """The number of rows and columns where a patch's corner may be, for each page."""
        self.ends = torch.tensor(num_patches).cumsum(0).to(device)
        self.within = torch.arange(side, device=device)

    def draw(self, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns patches [B, C, side, side] and their targets. A page has one place for each patch."""
        pages = torch.searchsorted(self.ends, places, right=True)
        uniform = torch.rand((len(places), 2), generator=generator, device=places.device)
        top, left = (uniform * self.corners[pages]).long().unbind(1)
        widths = self.widths[pages]
        firsts = self.starts[pages] + top * widths + left
        rows = firsts[:, None] + self.within * widths[:, None]
        pixels = rows[:, :, None] + self.within
        return _taken(self.x, pixels), _taken(self.y, pixels)


def _taken(channels: Tensor, pixels: Tensor) -> Tensor:
    """Returns the values [B, C, side, side] at `pixels` [B, side, side] of the rows [C, pixels] of each channel."""
    if len(channels) == 1:
        return channels[0][pixels].unsqueeze(1)
    return torch.stack([channel[pixels] for channel in channels], dim=1)
