"""Textures are varied, always the same for a seed, and as bright as the published ones."""

import numpy as np
import pytest

from data.made.textures import KINDS, texture

SIZE = 256


@pytest.mark.parametrize("kind", KINDS)
def test_a_texture_is_decided_by_its_seed(kind: str):
    one, again, other = (texture(kind, seed, SIZE) for seed in (1, 1, 2))
    assert (one.dtype, one.shape) == (np.uint8, (SIZE, SIZE))
    np.testing.assert_array_equal(one, again)
    assert np.mean(one != other) > 0.5
    assert np.any(one != texture(kind, (1, 0, 1), SIZE))


@pytest.mark.parametrize("kind", KINDS)
def test_medians_lie_in_the_published_range_and_no_texture_is_flat(kind: str):
    textures = [texture(kind, seed, SIZE) for seed in range(25)]
    medians = [np.median(sheet) for sheet in textures]
    assert min(medians) >= 20
    assert max(medians) <= 147
    assert np.ptp(medians) >= 10
    assert min(sheet.std() for sheet in textures) > 4


@pytest.mark.parametrize(
    ("kind", "from_level", "peak"), [("metal", 0, 148), ("pebbles", 180, 240), ("swirls", 180, 240)]
)
def test_some_histograms_peak_near_150_and_some_near_240(kind: str, from_level: int, peak: int):
    num_peaks = 0
    for seed in range(25):
        counts = np.convolve(np.bincount(texture(kind, seed, SIZE).ravel(), minlength=256), np.ones(5), "same")
        highest = from_level + counts[from_level:].argmax()
        num_peaks += abs(highest - peak) <= 10 and counts[highest] > 0.03 * SIZE**2
    assert num_peaks >= 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [16, 17, 40])
def test_small_sizes_will_do(kind: str, size: int):
    assert texture(kind, 0, size).shape == (size, size)


def test_an_unknown_kind_or_a_tiny_size_is_refused():
    with pytest.raises(ValueError, match="kind is 'wood'; expected one of metal, pebbles, stars"):
        texture("wood", 0, SIZE)
    with pytest.raises(ValueError, match="size is 15; expected at least 16 pixels"):
        texture("metal", 0, 15)
