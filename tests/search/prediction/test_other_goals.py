"""Models of numbers, several labels, class maps and a user's own module, on arrays, rows and folders."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from search.predict import main
from spaces.layers import Conv, Dense, Flatten
from spaces.network import Network
from spaces.own import Own
from spaces.recipe import Candidate, Recipe
from tests.search.prediction.toy_files import refused, rows
from tests.search.prediction.toy_models import save_layers
from trainables.build import build
from trainables.model import load_model, model_bytes
from trainables.task_code import TaskCode

FEATURES = ["age", "sex=f", "sex=m"]
RNG = np.random.default_rng(0)


def facts(goal: str, **further: object) -> dict:
    return {"goal": {"goal": goal}, "input_dtype": "float32", **further}


def save_rows(path, goal: str = "Regress", outputs: int = 1, **further: object):
    found = facts(goal, features=FEATURES, **further)
    return save_layers(path, Dense(outputs), shape=(3,), facts=found, seed=further.pop("seed", 1))


PATIENTS = pd.DataFrame({"sex": ["f", "m", "f"], "age": [30.5, 40, 50]})
X = np.array([[30.5, 1, 0], [40, 0, 1], [50, 1, 0]], np.float32)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_give_a_number_each_by_the_names_of_their_columns(here, suffix, capsys):
    model = save_rows(here / "m.pt")
    PATIENTS.to_csv("x.csv", index=False) if suffix == "csv" else PATIENTS.to_parquet("x.parquet")
    assert main([f"model={model}", f"input=x.{suffix}"]) == 0
    assert "3 examples predicted: values.csv" in capsys.readouterr().out
    header, *found = rows("values.csv")
    assert header == ["row", "value"]
    assert [name for name, _ in found] == ["0", "1", "2"]
    expected = load_model(model)(X).numpy()[:, 0]
    assert [float(value) for _, value in found] == pytest.approx(expected.tolist(), rel=1e-5)


def test_rows_of_other_columns_are_refused_with_their_names(here, capsys):
    model = save_rows(here / "m.pt")

    def message_for(table: pd.DataFrame) -> str:
        table.to_csv("x.csv", index=False)
        return refused(capsys, f"model={model}", "input=x.csv")

    assert "has no column age, sex, and has weight, which the model does not take" in message_for(
        pd.DataFrame({"weight": [1.0]})
    )
    assert "column sex holds x, which the model was not trained on; it knows f, m" in message_for(
        PATIENTS.assign(sex=["f", "m", "x"])
    )
    assert "column age holds str" in message_for(PATIENTS.assign(age=["old", "1", "2"])).replace("object", "str")
    assert "column age has no finite number in 1 rows, the first of them row 1" in message_for(
        PATIENTS.assign(age=[1.0, None, 2.0])
    )


def test_arrays_of_any_shape_give_numbers_as_csv_or_npy(here):
    model = save_layers(here / "m.pt", Flatten(), Dense(2), shape=(2, 5), facts=facts("Regress"))
    x = RNG.normal(size=(4, 2, 5))
    np.save("x.npy", x)
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert rows("values.csv")[0] == ["example", "value_0", "value_1"]
    assert main([f"model={model}", "input=x.npy", "output=y.npy"]) == 0
    y = np.load("y.npy")
    assert y == pytest.approx(load_model(model)(x).numpy())
    assert np.array(rows("values.csv")[1:], float)[:, 1:] == pytest.approx(y, rel=1e-5)


def test_a_number_of_an_image_is_an_array_of_numbers(here, images):
    model = save_layers(here / "m.pt", Flatten(), Dense(1), shape=(1, 28, 28), facts={"goal": {"goal": "Regress"}})
    np.save("x.npy", images)
    assert main([f"model={model}", "input=x.npy", "output=y.npy"]) == 0
    assert np.load("y.npy").shape == (7,)


def test_several_models_of_numbers_are_averaged(here):
    models = [save_layers(here / f"{n}.pt", Dense(1), shape=(3,), facts=facts("Regress"), seed=n) for n in range(2)]
    np.save("x.npy", X)
    assert main([f"model=[{models[0]},{models[1]}]", "input=x.npy", "output=y.npy"]) == 0
    mean = sum(load_model(model)(X).numpy()[:, 0] for model in models) / 2
    assert np.load("y.npy") == pytest.approx(mean)


def test_models_of_other_goals_and_features_cannot_be_averaged(here, capsys):
    np.save("x.npy", X)
    first = save_rows(here / "0.pt", "Regress", 2)
    other = save_rows(here / "1.pt", "MultiLabel", 2)
    message = refused(capsys, f"model=[{first},{other}]", "input=x.npy")
    assert "returns numbers [2], and" in message
    assert "1.pt 2 labels: they cannot be averaged" in message
    plain = save_layers(here / "2.pt", Dense(2), shape=(3,), facts=facts("Regress"))
    assert "takes the features age, sex=f, sex=m, and" in refused(capsys, f"model=[{first},{plain}]", "input=x.npy")


def test_several_labels_are_0_or_1_with_their_probabilities(here, capsys):
    model = save_rows(here / "m.pt", "MultiLabel", 2, classes=["ill", "old"])
    np.save("x.npy", X)
    assert main([f"model={model}", "input=x.npy"]) == 0
    assert "3 examples labelled: labels.csv" in capsys.readouterr().out
    header, *found = rows("labels.csv")
    assert header == ["example", "ill", "old", "ill probability", "old probability"]
    probabilities = load_model(model)(X).sigmoid().numpy()
    table = np.array(found, float)[:, 1:]
    assert table[:, 2:] == pytest.approx(probabilities, abs=1e-4)
    assert table[:, :2].tolist() == (probabilities >= 0.5).tolist()


@pytest.fixture
def segmenter(here):
    return save_layers(here / "m.pt", Conv(3, 3), shape=(1, 8, 8), facts={"goal": {"goal": "Segment", "patch": None}})


def test_a_folder_of_images_of_several_sizes_becomes_class_maps(here, pages, segmenter):
    assert main([f"model={segmenter}", "input=pages"]) == 0
    for name, page in pages.items():
        with Image.open(f"classes/{name}.png") as image:
            found = np.asarray(image)
            assert np.asarray(image.convert("RGB")).std() > 0
        assert np.array_equal(found, load_model(segmenter)([page])[0].argmax(0).numpy())


def test_an_array_of_images_becomes_one_of_class_maps(here, segmenter):
    x = RNG.integers(0, 256, (4, 8, 8), dtype=np.uint8)
    np.save("x.npy", x)
    assert main([f"model={segmenter}", "input=x.npy"]) == 0
    assert np.array_equal(np.load("classes.npy"), load_model(segmenter)(x).argmax(1).numpy())


@pytest.mark.parametrize("kind", ["folder", "csv", "shape", "nan", "text", "maps", "suffix"])
def test_bad_input_is_named_with_what_the_model_takes(here, pages, segmenter, capsys, kind):
    plain = save_layers(here / "plain.pt", Dense(1), shape=(3,), facts=facts("Regress"))
    PATIENTS.to_csv("x.csv", index=False)
    arrays = {"shape": X[:, :2], "nan": X * np.nan, "text": np.array([["a"] * 3])}
    np.save("x.npy", arrays.get(kind, X))
    source = {"folder": "pages", "csv": "x.csv", "maps": "x.csv"}.get(kind, "x.npy")
    expected = {
        "folder": "does not take images of pixels from 0 to 255; expected an .npy file that holds float32 [N, 3]",
        "csv": "the model knows no names of features; expected an .npy file that holds float32 [N, 3]",
        "shape": "holds [3, 2], and the model takes float32 [N, 3]",
        "nan": "example 0 holds NaN",
        "text": "numbers",
        "maps": "this kind of file is for classifiers, and",
        "suffix": "expected the name of a .csv or .npy file, such as output=values.csv",
    }[kind]
    output = ["output=y.png"] if kind == "suffix" else []
    model = segmenter if kind == "maps" else plain
    assert expected in refused(capsys, f"model={model}", f"input={source}", *output)


def test_a_module_of_the_user_s_own_needs_the_task_s_file(here, capsys):
    Path("my_task.py").write_text("from torch import nn\n\n\ndef space(choose):\n    return nn.Linear(3, 1)\n")
    candidate = Candidate(Network((3,), (Own((), (1,), 4, 3),)), Recipe())
    module = build(candidate.network, 1, code=TaskCode.read("my_task.py"))
    Path("m.pt").write_bytes(model_bytes(candidate, module.state_dict(), facts("Custom")))
    np.save("x.npy", X)
    assert "a module of the task's own file" in refused(capsys, "model=m.pt", "input=x.npy")
    assert "task=missing.py: cannot be read" in refused(capsys, "model=m.pt", "input=x.npy", "task=missing.py")
    assert main(["model=m.pt", "input=x.npy", "task=my_task.py"]) == 0
    assert rows("values.csv")[0] == ["example", "value"]
