import hashlib
import json

import pytest

pytest.importorskip("fasttext")

import fasttext

from transforms.annotators import RuleFile
from transforms.quality.classifier import Classifier
from transforms.quality.conditions import Condition
from transforms.quality.fasttext_model import ModelError
from transforms.quality.rules import rule

LABELS = ("arts&law", "en-US", "HQ")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus):
    """(file, library's model): labels with what names of columns seldom have, dim 12, bigrams."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "train.txt").write_text(
        "\n".join(
            f"__label__{LABELS[n % 3]} {' '.join(text.split())}" for n, text in enumerate(corpus)
        )
    )
    model = fasttext.train_supervised(
        str(folder / "train.txt"), dim=12, wordNgrams=2, bucket=2000, thread=12, verbose=0
    )
    model.save_model(str(folder / "model.bin"))
    digest = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()
    return RuleFile(str(folder / "model.bin"), "model.bin", digest), model


def test_columns_hold_the_librarys_probabilities(trained, make_batch, corpus):
    file, library = trained
    annotator = Classifier("quality", file, ("HQ", "en-US"))
    texts = [*corpus, "no-break\u00a0space", "</s> after", "__label__HQ", "new\nline"]
    rows = annotator.annotate(make_batch(texts))
    assert rows.schema == annotator.schema
    assert rows.schema.names == ["label", "score", "HQ", "en-US"]
    for text, row in zip(texts, rows.to_pylist(), strict=True):
        line = text.replace("</s>", " ").replace("\n", " ") + "\n"
        ranked = library.f.predict(line, 3, 0.0, "strict")
        expected = {name.removeprefix("__label__"): min(one, 1.0) for one, name in ranked}
        assert row["score"] == pytest.approx(max(expected.values()), abs=1e-5)
        assert expected[row["label"]] == pytest.approx(row["score"], abs=1e-5)
        for label in ("HQ", "en-US"):
            assert row[label] == pytest.approx(expected[label], abs=1e-5)


def test_a_batch_without_rows_gives_none(trained, make_batch):
    annotator = Classifier("quality", trained[0])
    assert annotator.annotate(make_batch([])).schema == annotator.schema


def test_parameters_name_the_model_by_its_content(trained):
    file, _ = trained
    elsewhere = Classifier("quality", RuleFile("s3://bucket/x.bin", "x.bin", file.digest))
    assert elsewhere.parameters() == Classifier("quality", file).parameters()
    assert json.dumps(elsewhere.parameters())


def test_labels_are_compared_with_the_models_before_any_work(trained):
    file, _ = trained
    named = Classifier("quality", RuleFile("model.bin"), ("HQ",))
    assert named.with_files((file,)) == Classifier("quality", file, ("HQ",))
    with pytest.raises(ModelError, match=r"no label 'hq' \(there are .*HQ"):
        Classifier("quality", RuleFile("model.bin"), ("hq",)).with_files((file,))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda data: data, None),
        (lambda data: data[:-4] + b"\0\0\xc0\x7f", "values that are no number"),
        (lambda data: data[:-4], "it is truncated or damaged"),
        (lambda data: data[: len(data) // 2], "it is truncated or damaged"),
    ],
)
def test_a_damaged_model_is_told_before_any_work(trained, tmp_path, harm, told):
    """What its labels do not show: they stand before the matrices."""
    data = harm((tmp_path / trained[0].path).read_bytes())
    (tmp_path / "model.bin").write_bytes(data)
    file = RuleFile(str(tmp_path / "model.bin"), "model.bin", hashlib.sha256(data).hexdigest())
    annotator = Classifier("quality", file).with_files((file,))
    if told is None:
        annotator.check_files()
        return
    with pytest.raises(ModelError, match=told) as error:
        annotator.check_files()
    assert str(tmp_path / "model.bin") in str(error.value)


@pytest.mark.parametrize("name", ["Quality", "4x", "a b", "", "language", "tokens", "x\n"])
def test_a_name_is_one_of_a_new_table(name):
    with pytest.raises(ValueError, match="its name must be"):
        Classifier(name, RuleFile("x"))


@pytest.mark.parametrize("labels", [("score",), ("LABEL",), ("hq", "HQ"), ("a", "a")])
def test_labels_that_one_table_cannot_hold_are_refused(labels):
    with pytest.raises(ValueError, match="must differ"):
        Classifier("quality", RuleFile("x"), labels)


def test_the_rule_asks_for_the_label_it_judges():
    asked = {"name": "quality", "model": "m.bin", "label": "hq", "labels": ["lq"], "at_least": 0.5}
    made = rule("classifier", asked)
    assert made.annotators == (Classifier("quality", RuleFile("m.bin"), ("hq", "lq")),)
    assert made.conditions == (Condition("quality", "quality.hq", at_least=0.5),)


def test_without_a_label_nothing_is_judged():
    assert rule("classifier", {"name": "topic", "model": "m.bin"}).conditions == ()


def test_names_of_columns_are_quoted():
    condition = rule(
        "classifier", {"name": "x", "model": "m", "label": 'a "b" & c', "at_most": 0.1}
    ).conditions[0]
    assert condition.to_sql() == '"x"."a ""b"" & c" <= 0.1'


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": "m.bin"}, "name must be a text"),
        ({"name": "x"}, "model must be a text"),
        ({"name": "x", "model": "m", "label": "hq"}, "needs at_least or at_most"),
        ({"name": "x", "model": "m", "at_least": 0.5}, "need a label"),
        ({"name": "x", "model": "m", "label": "hq", "at_least": "a"}, "must be a number"),
        ({"name": "x", "model": "m", "labels": "hq"}, "must be a list of labels"),
        ({"name": "x", "model": "m", "threshold": 1}, "no option 'threshold'"),
    ],
)
def test_wrong_options_are_one_sentence(options, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        rule("classifier", options)
    assert "\n" not in str(caught.value)
