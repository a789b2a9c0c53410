"""Image files of every format and mode are read, or listed with the reason."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.image_files import read_images
from data.splits import DataError
from tests.data.pictures import COLOUR, GREY, picture, save

FORMATS = {
    "a.png": {},
    "b.PNG": {},
    "c.bmp": {},
    "d.tif": {},
    "e.TIFF": {"compression": "tiff_lzw"},
    "f.webp": {"lossless": True},
    "g.gif": {},
    "h.ppm": {},
    "i.jp2": {},
    "no-suffix": {"format": "PNG"},
    "wrong.jpg": {"format": "PNG"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_grey_images_of_every_lossless_format_are_read_as_they_are(tmp_path: Path, name: str):
    save(tmp_path / name, picture(1, (20, 30)), **FORMATS[name])
    assert np.array_equal(read_images(tmp_path, [name])[0], picture(1, (20, 30)))


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"g.gif"}))  # its 256 colours are too few
def test_coloured_images_of_every_lossless_format_are_read_channels_first(tmp_path: Path, name: str):
    save(tmp_path / name, picture(1, (20, 30, 3)), **FORMATS[name])
    assert np.array_equal(read_images(tmp_path, [name])[0], picture(1, (20, 30, 3)).transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_photographs_are_read_nearly_as_they_are(tmp_path: Path, name: str, mode: str):
    ramp = np.linspace(0, 255, 16 * 16).astype(np.uint8).reshape(16, 16)
    save(tmp_path / name, Image.fromarray(ramp).convert("RGB").convert(mode), quality=95)
    x = read_images(tmp_path, [name])
    assert np.abs(x.astype(int) - ramp).max() < 8
    if mode != "CMYK":
        assert x.shape == (1, 16, 16)


def test_grey_images_in_all_modes_are_grey(tmp_path: Path):
    image = Image.fromarray(picture(1))
    modes = ["L", "LA", "RGB", "RGBA", "P"]
    for mode in modes:
        save(tmp_path / f"{mode}.png", image.convert(mode))
    save(tmp_path / "1.png", image.convert("1"))
    x = read_images(tmp_path, [f"{mode}.png" for mode in [*modes, "1"]])
    assert x.shape == (6, *GREY)
    assert np.array_equal(x[:5], [picture(1)] * 5)
    assert set(np.unique(x[5])) == {0, 255}


def test_one_coloured_pixel_gives_all_images_three_channels(tmp_path: Path):
    coloured = picture(1)[:, :, None].repeat(3, 2)
    coloured[2, 1] = 10, 20, 30
    save(tmp_path / "a.png", picture(0))
    save(tmp_path / "b.png", coloured)
    x = read_images(tmp_path, ["a.png", "b.png"])
    assert np.array_equal(x[0], [picture(0)] * 3)
    assert np.array_equal(x[1], coloured.transpose(2, 0, 1))


def test_transparent_pixels_become_white(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 100, 200]], np.uint8))
    image.putalpha(Image.fromarray(np.array([[255, 0, 255]], np.uint8)))
    save(tmp_path / "grey.png", image)
    save(tmp_path / "colour.png", image.convert("RGBA"))
    save(tmp_path / "L.png", np.array([[0, 100, 200]], np.uint8), transparency=100)
    save(tmp_path / "P.png", Image.fromarray(np.array([[0, 100, 200]], np.uint8)).convert("P"), transparency=100)
    files = ["grey.png", "colour.png", "L.png", "P.png"]
    assert read_images(tmp_path, files).tolist() == [[[0, 255, 200]]] * 4


def test_the_orientation_of_exif_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save(tmp_path / "a.png", picture(1), exif=exif)
    assert np.array_equal(read_images(tmp_path, ["a.png"])[0], np.rot90(picture(1), -1))


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_the_first_of_several_frames_is_read(tmp_path: Path, suffix: str):
    frames = [Image.fromarray(picture(i)) for i in range(3)]
    save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    assert np.array_equal(read_images(tmp_path, [f"a.{suffix}"])[0], picture(0))


def test_colours_of_16_bits_lose_their_lower_8(tmp_path: Path):
    # Pillow cannot write these, so the file is made by hand: a PPM with a maximum of 65,535.
    values = np.array([[[0, 0x7FFF, 0xFFFF]]], ">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + values.tobytes())
    assert read_images(tmp_path, ["a.ppm"])[0].ravel().tolist() == [0, 127, 255]


@given(st.integers(0, 200), st.integers(0, 255), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
def test_a_damaged_image_is_read_or_listed(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, form: str
):
    folder = tmp_path_factory.getbasetemp() / "damaged-image"  # one for all examples
    folder.mkdir(exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(picture(1, COLOUR)).save(content, form)
    damaged = bytearray(content.getvalue())
    damaged[position % len(damaged)] = byte
    (folder / "damaged").write_bytes(damaged)
    try:
        assert read_images(folder, ["damaged"]).dtype == np.uint8
    except DataError as error:
        assert "  damaged: " in str(error)  # noqa: PT017 - either outcome is right
