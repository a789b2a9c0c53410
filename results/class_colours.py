"""The colours of classes in class maps, in reports and in the files of predictions."""

from colorsys import hsv_to_rgb

_PALETTE = ("808890", "0072B2", "D55E00", "009E73", "F0E442", "CC79A7", "56B4E9", "E69F00", "000000")
"""Grey, then Okabe and Ito's palette, as in the figures."""
_GOLDEN = 0.618034
"""Hues that are this share of a circle apart differ from each other, however many there are."""


def class_colour(number: int) -> tuple[int, int, int]:
    """Returns the colour of a class in class maps: red, green and blue from 0 to 255."""
    if number < len(_PALETTE):
        red, green, blue = bytes.fromhex(_PALETTE[number])
        return red, green, blue
    shares = hsv_to_rgb(number * _GOLDEN % 1, 0.55 + 0.4 * (number % 2), 0.6 + 0.15 * (number % 3))
    red, green, blue = (round(255 * share) for share in shares)
    return red, green, blue
