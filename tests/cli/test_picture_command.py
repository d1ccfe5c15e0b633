"""picture: a folder of images, or one line that says why not."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_array

from dasklasso.cli import main
from dasklasso.files.tables import write_table
from dasklasso.jobs.picture_stage import PictureStage
from dasklasso.model.path import FittedPath

MODEL = FittedPath(
    alphas=np.array([0.5, 0.25]),
    coef_rows=csr_array(np.vstack([np.zeros((3, 6)), np.arange(18.0).reshape(3, 6) - 8])),
    intercepts=np.zeros((2, 3)),
    dual_gaps=np.zeros((2, 1)),
    objectives=np.zeros((2, 1)),
    y_is_vector=False,
    feature_names=[f"x{j}" for j in (1, 0, 2, 3, 4, 5)],
    target_names=["a", "b", "c"],
    loss="softmax",
    l1_ratio=1.0,
    penalty_options={},
    alpha_selected=None,
    solver="fista",
    tol=1e-6,
    scans=1.0,
    bytes_read=1,
    seconds=1.0,
    peak_memory_bytes=1,
    fingerprint="",
    versions={},
    classes=(("a", "b", "c"),),
)


def picture(*arguments, exit_code=0):
    result = CliRunner().invoke(main, ["picture", *(str(a) for a in arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MODEL.save("model")
    rows = [{"alpha": 0.5, "accuracy": 0.3}, {"alpha": 0.25, "accuracy": 0.81234}]
    write_table(rows, "scores.csv")
    return tmp_path


def test_a_folder_has_a_picture_for_each_alpha(work):
    result = picture("model", "--shape", "2x3", "--out", "p", "--scores", "scores.csv")
    assert result.output == "2 pictures in p\n"
    assert sorted(f.name for f in (work / "p").iterdir()) == [
        "1-alpha-0.5.png",
        "2-alpha-0.25.png",
    ]
    picture("model", "--shape", "2x3", "--out", "p", "--alpha", 0.3, "--overwrite")
    assert [f.name for f in (work / "p").iterdir()] == ["alpha-0.3.png"]


def test_a_picture_says_what_is_known_of_its_model(work, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "dasklasso.drawing.weights.draw_weights", lambda *given: drawn.append(given[0])
    )
    PictureStage(model="model", shape="2x3", out="p", scores="scores.csv").run()
    assert drawn[0].caption == ("alpha 0.5", "0 of 6 features", "accuracy 0.3000")
    assert drawn[1].caption == ("alpha 0.25", "6 of 6 features", "accuracy 0.8123")
    assert drawn[1].labels == ("a", "b", "c")
    # x1 comes before x0 among the model's features
    assert drawn[1].images[0].tolist() == [[-7, -8, -6], [-5, -4, -3]]


def test_a_model_of_two_labels_has_one_image(work, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "dasklasso.drawing.weights.draw_weights", lambda *given: drawn.append(given[0])
    )
    two = replace(
        MODEL,
        coef_rows=MODEL.coef_rows[:2],
        intercepts=np.zeros((2, 1)),
        y_is_vector=True,
        target_names=["ill"],
        loss="logistic",
        classes=(("no", "yes"),),
    )
    for classes, label in ((two.classes, "yes"), (None, "ill")):
        replace(two, classes=classes).save("two", overwrite=True)
        PictureStage(model="two", shape="2x3", out="p").run()
        assert drawn[-1].images.shape == (1, 2, 3)
        assert drawn[-1].labels == (label,)
        (work / "p").rmdir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--shape", "28", "--out", "p"], "shape: '28' found"),
        (["model", "--shape", "2x4", "--out", "p"], "2x4 is 8 pixels, and the model has 6"),
        (["model", "--shape", "2x3", "--out", "p", "--label", "x"], "label: 1 found, expected one"),
        (["model", "--shape", "2x3", "--out", "p", "--alpha", "9"], "alpha=9 is outside"),
        (["none", "--shape", "2x3", "--out", "p"], "none"),
        (["model", "--shape", "2x3", "--out", "model"], "out: model is the model, which is read"),
        (["model", "--shape", "2x3", "--out", "empty"], "empty exists already"),
        (["model", "--shape", "2x3", "--out", "p", "--scores", "no.csv"], "no.csv: the table"),
        (["model", "--shape", "2x3", "--out", "p", "--scores", "other.json"], "no column alpha"),
    ],
)
def test_what_cannot_be_drawn_exits_with_2_in_one_line(arguments, message, work):
    (work / "empty").mkdir()
    (work / "other.json").write_text('[{"accuracy": 1}]')
    result = picture(*arguments, exit_code=2)
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (work / "p").exists()
