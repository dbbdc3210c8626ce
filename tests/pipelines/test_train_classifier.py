import hashlib

import numpy as np
import orjson
import pytest

pytest.importorskip("fasttext")

import fasttext

from pipelines.inputs import NoInput
from pipelines.train_classifier import THRESHOLDS, Training, _normalize, train_classifier
from transforms.kernels.fasttext_tokens import find_tokens
from transforms.quality.fasttext_model import read_labels

SMALL = Training(dim=8, buckets=500, epochs=20, learning_rate=0.5, held_out=0.25)
WORDS = {"garden": "apple pear plum orchard ladder", "sea": "wave salt harbour mast gull"}


def documents(label, count):
    words = WORDS[label].split()
    for n in range(count):
        text = " ".join(words[(n * k) % len(words)] for k in range(1, 9))
        yield {"id": f"{label}-{n}", "text": text, "metadata": {"kind": label}}


def write(folder, name, records):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    return str(path)


@pytest.fixture
def labelled(tmp_path):
    return {
        label: [write(tmp_path, f"{label}.jsonl", documents(label, 120))] for label in sorted(WORDS)
    }


def test_labels_that_differ_are_told_apart_on_documents_held_out(labelled, tmp_path):
    out = str(tmp_path / "model.bin")
    outcome = train_classifier(out, labelled, SMALL)
    assert set(read_labels(out)) == {"garden", "sea"}
    assert outcome.sha256 == hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest()
    assert outcome.accuracy == 1.0
    for label in WORDS:
        assert outcome.trained[label] + outcome.held_out[label] == 120
        assert 10 < outcome.held_out[label] < 55  # a quarter
        rows = outcome.labels[label]
        assert [row["at_least"] for row in rows] == list(THRESHOLDS)
        half = rows[THRESHOLDS.index(0.5)]
        assert half["precision"] == half["recall"] == 1.0
        assert half["documents"] == outcome.held_out[label]


@pytest.mark.parametrize("quantize", [False, True])
def test_the_same_documents_give_the_same_bytes_however_they_lie(labelled, tmp_path, quantize):
    training = Training(dim=8, buckets=500, epochs=2, quantize=quantize)
    train_classifier(str(tmp_path / "one.bin"), labelled, training)
    garden, sea = list(documents("garden", 120)), list(documents("sea", 120))
    write(tmp_path, "cut/garden/b.jsonl", garden[70:])
    write(tmp_path, "cut/garden/a.jsonl", reversed(garden[:70]))
    write(tmp_path, "cut/sea/a.jsonl", sea)
    cut = {label: [str(tmp_path / "cut" / label)] for label in ("sea", "garden")}
    train_classifier(str(tmp_path / "two.bin"), cut, training)
    mixed = write(tmp_path, "mixed.jsonl", [*sea, *garden])
    train_classifier(str(tmp_path / "three.bin"), {}, training, by_field=("kind", [mixed]))
    first, *others = [(tmp_path / f"{one}.bin").read_bytes() for one in ("one", "two", "three")]
    assert others == [first, first]


def test_another_seed_holds_out_others(labelled, tmp_path):
    out = str(tmp_path / "model.bin")
    seeds = [
        train_classifier(out, labelled, Training(dim=4, buckets=50, epochs=1, seed=seed)).held_out
        for seed in (0, 1)
    ]
    assert seeds[0] != seeds[1]


def test_what_cannot_be_used_is_counted(labelled, tmp_path):
    odd = [{"id": "1", "text": "no label"}, {"id": "2", "text": " "}, {"id": 3.5, "text": "x"}]
    path = write(tmp_path, "odd.jsonl", odd)
    outcome = train_classifier(
        str(tmp_path / "model.bin"), labelled, SMALL, by_field=("kind", [path])
    )
    assert outcome.left_out == {"id is not a string": 1, "no kind": 1, "no text": 1}


@pytest.mark.parametrize(
    "text", ["a\nb\tc", "x</s>y </s> z", "__label__sea is no word", "\u00a0 a\u00a0b", "\x0b\x0c"]
)
def test_training_text_has_the_tokens_that_prediction_has(text):
    data = np.frombuffer(text.encode(), np.uint8)
    tokens = find_tokens(data, np.array([0, len(data)], np.int64))
    seen = [
        bytes(data[start : start + length]).decode()
        for start, length in zip(tokens.starts.tolist(), tokens.lengths.tolist(), strict=True)
    ]
    assert _normalize(text).split(" ") == ([one for one in seen if one[:9] != "__label__"] or [""])


def test_one_label_is_nothing_to_learn(labelled, tmp_path):
    with pytest.raises(ValueError, match=r"two labels at least \(got sea\)"):
        train_classifier(str(tmp_path / "m.bin"), {"sea": labelled["sea"]}, SMALL)
    assert not (tmp_path / "m.bin").exists()


@pytest.mark.parametrize(
    "wrong", [{"dim": 0}, {"held_out": 1.0}, {"learning_rate": 0.0}, {"seed": -1}, {"seed": 2**31}]
)
def test_numbers_that_fasttext_cannot_take_are_told_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be"):
        Training(**wrong)


def test_a_label_is_one_word(labelled, tmp_path):
    with pytest.raises(ValueError, match="a label must be one word"):
        train_classifier(str(tmp_path / "m.bin"), {"the sea": labelled["sea"]}, SMALL)


def test_a_pattern_without_a_file_is_told(tmp_path):
    with pytest.raises(NoInput, match="no file matches"):
        train_classifier(str(tmp_path / "m.bin"), {"sea": [str(tmp_path / "none*")]}, SMALL)


def test_fasttexts_own_refusal_is_one_sentence(tmp_path):
    few = {
        label: [write(tmp_path, f"{label}.jsonl", documents(label, 9))] for label in sorted(WORDS)
    }
    with pytest.raises(ValueError, match=r"could not train: .*Matrix too small") as caught:
        train_classifier(
            str(tmp_path / "m.bin"), few, Training(dim=4, buckets=20, epochs=1, quantize=True)
        )
    assert "\n" not in str(caught.value)


def test_a_fasttext_that_cannot_train_is_told_with_its_remedy(labelled, tmp_path, monkeypatch):
    """As the package fasttext-predict leaves it, whose files have the same names."""
    monkeypatch.delattr(fasttext, "train_supervised")
    with pytest.raises(ValueError, match="pip uninstall -y fasttext-predict"):
        train_classifier(str(tmp_path / "m.bin"), labelled, SMALL)


@pytest.mark.parametrize(
    "wrong", [{"dim": 0}, {"held_out": 0.0}, {"held_out": 1.0}, {"learning_rate": 0.0}]
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", "-")):
        Training(**wrong)
