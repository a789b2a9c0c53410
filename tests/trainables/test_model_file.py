"""A model file may come from anyone: it is read within its own size, or refused with a reason."""

import io
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces.layers import Activation, Conv, Dense, Flatten, GlobalPool, Norm, Repeat, Upsample
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from tests.bounded import outcomes
from trainables.build import build
from trainables.model import load_model, model_bytes

CANDIDATE = Candidate(Network((1, 8, 8), (Conv(4, 3), Norm(), Activation(), Flatten(), Dense(3))), Recipe())
FACTS = {"run": "a", "task": "toy", "trial": 3, "val_score": 0.5, "classes": ["a", "b", "c"]}
NUM_MUTATED = 80

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is bounded on Linux alone")


def weights(candidate: Candidate = CANDIDATE) -> dict[str, torch.Tensor]:
    return build(candidate.network, seed=1).state_dict()


def content(**changes: Any) -> bytes:
    file = io.BytesIO()
    held = {"format": 1, "candidate": CANDIDATE.to_json(), "weights": weights(), "facts": FACTS}
    torch.save({**held, **changes}, file)
    return file.getvalue()


def changed(change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a model file whose parts are changed by name."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content())) as parts, zipfile.ZipFile(file, "w", compression) as written:
        for name in parts.namelist():
            written.writestr(name, change(name, parts.read(name)))
    return file.getvalue()


def with_pickle(change: Callable[[bytes], bytes]) -> bytes:
    return changed(lambda name, part: change(part) if name.endswith("data.pkl") else part)


def with_weights(**changes: torch.Tensor) -> bytes:
    return content(weights=weights() | {name.replace("__", "."): value for name, value in changes.items()})


def of_network(*layers: Any, **more: Any) -> bytes:
    candidate = Candidate(Network((1, 8, 8), layers), Recipe())
    return content(candidate=candidate.to_json(), **more)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "tuples in tuples": (with_pickle(lambda _: b"\x80\x02)" + b"\x85" * 1_000_000 + b"."), "deep"),
    "a place in the memo": (with_pickle(lambda _: b"\x80\x02]r\xff\xff\xff\x0a."), "numbers an object"),
    "bytes that are not there": (with_pickle(lambda _: b"\x80\x04\x8e" + struct.pack("<Q", 2**33)), "truncated"),
    "a call": (with_pickle(lambda _: b"cos\nsystem\n(X\x04\x00\x00\x00truetR."), "asks for os.system"),
    "a changed function": (with_pickle(lambda _: b"ctorch._utils\n_rebuild_tensor_v2\n}b."), "changes a function"),
    "a compressed part": (
        changed(lambda name, part: bytes(10**8) if name.endswith("/0") else part, zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a tensor of fewer numbers": (changed(lambda name, part: part[:4] if "/data/" in name else part), "bytes are"),
    "a tensor of more numbers": (changed(lambda name, part: part * 9 if "/data/" in name else part), "bytes are"),
    "a repeated number": (with_weights(layers__0__weight=torch.zeros(1).expand(4, 1, 3, 3)), "of 1 numbers"),
    "a huge repeated number": (with_weights(layers__0__weight=torch.zeros(1).expand(10**6, 10**6)), "of 1 numbers"),
    "a huge network": (of_network(Flatten(), Dense(10**7), Dense(10**7)), "has 100,000,660,000,000 weights"),
    "many layers": (of_network(*[Activation()] * 20_000), "20,000 layers"),
    "a huge image": (of_network(Conv(4, 3), Upsample(10**5), GlobalPool(), Dense(3)), "more than 268,435,456 outputs"),
    "many channels": (of_network(Repeat(10**9), GlobalPool()), "more than 268,435,456 outputs"),
    "layers of text": (content(candidate=CANDIDATE.to_json().replace('"filters":4', '"filters":"4"')), "TypeError"),
    "no layers": (content(candidate="[" * 100_000), "RecursionError"),
    "a candidate of another kind": (content(candidate=3), "its candidate is not text"),
    "doubles": (with_weights(layers__0__weight=torch.zeros(4, 1, 3, 3, dtype=torch.float64)), "are float64 [4,"),
    "another shape": (with_weights(layers__0__weight=torch.zeros(4, 1, 5, 5)), "[4, 1, 5, 5]; the network expects"),
    "no number": (with_weights(layers__0__bias=torch.tensor([0, 0, torch.nan, 0])), "layers.0.bias are not all finite"),
    "no finite number": (with_weights(layers__4__bias=torch.tensor([0, torch.inf, 0])), "are not all finite"),
    "more weights": (with_weights(other=torch.zeros(3)), "weights 'other', which the network does not have"),
    "weights that are none": (content(weights={"layers.0.weight": "x"}), "its weights are not tensors"),
    "no facts": (content(facts=[1]), "its facts are not a dict"),
    "too few classes": (content(facts=FACTS | {"classes": ["a"]}), "names 1 classes"),
    "classes that are no text": (content(facts=FACTS | {"classes": [1, 2, 3]}), "classes are not all text"),
    "classes of one name": (content(facts=FACTS | {"classes": ["a", "b", "a"]}), "the same name"),
    "classes that are none": (content(facts=FACTS | {"classes": "abc"}), "its classes is 'abc'"),
    "a run that is no text": (content(facts=FACTS | {"run": 3}), "its run is 3; expected text"),
    "a trial that is no number": (content(facts=FACTS | {"trial": "../x"}), "its trial is '../x'"),
    "a tensor as a fact": (content(facts=FACTS | {"val_score": torch.zeros(3)}), "its val_score is tensor"),
    "the format of before": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "not a zip file"),
}  # fmt: skip


@on_linux
def test_what_takes_too_much_or_does_not_fit_is_refused_in_words_and_bounded_memory(tmp_path: Path):
    paths = []
    for number, (written, _) in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"{number}.pt")
        paths[-1].write_bytes(written)
    told = outcomes("trainables.model:load_model", paths)
    for (name, (_, reasons)), path, said in zip(HOSTILE.items(), paths, told, strict=True):
        assert said.startswith(f"ValueError: {path}: "), f"{name}: {said}"
        assert len(said) < 1000
        assert any(reason in said for reason in reasons.split("|")), f"{name}: {said}"


@on_linux
def test_a_model_with_any_byte_or_part_changed_is_read_or_refused_in_words(tmp_path: Path):
    """Also changes parts together with their checksums, as an attacker would."""
    draw = random.Random(1)
    paths = []
    for number in range(NUM_MUTATED):
        paths.append(tmp_path / f"{number}.pt")
        paths[-1].write_bytes(
            _mutated(draw, content())
            if number % 2
            else changed(lambda name, part: _mutated(draw, part) if name.endswith(("data.pkl", "/0")) else part)
        )
    told = outcomes("trainables.model:load_model", paths)
    for path, said in zip(paths, told, strict=True):
        assert said == "read" or said.startswith(f"ValueError: {path}: ")
    assert 0 < told.count("read") < NUM_MUTATED


def _mutated(draw: random.Random, part: bytes) -> bytes:
    """Replaces, inserts or removes a few bytes."""
    found = bytearray(part)
    for _ in range(draw.choice([1, 1, 2, 5])):
        start = draw.randrange(len(found))
        others = draw.randbytes(draw.choice([0, 1, 4])) if draw.random() < 0.7 else draw.choice([b"\xff", b"\x7f"]) * 4
        found[start : start + draw.choice([len(others), len(others), 0, 3])] = others
    return bytes(found)


def test_every_kind_of_weights_comes_back_as_it_was_saved(tmp_path: Path):
    path = tmp_path / "best.pt"
    path.write_bytes(model_bytes(CANDIDATE, weights(), FACTS))
    model = load_model(path)
    assert {name: value.dtype for name, value in model.module.state_dict().items()} == {
        name: value.dtype for name, value in weights().items()
    }
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, weights()[name])
    assert model.facts == FACTS


def test_an_onnx_file_is_refused_with_the_file_to_name(tmp_path: Path):
    path = tmp_path / "best.onnx"
    path.write_bytes(b"\x08\x0a")
    with pytest.raises(
        ValueError, match=r"best\.onnx: not a model that Frugal saved: an ONNX .* name the \.pt file beside"
    ):
        load_model(path)
