"""Models are trained here by the fasttext package, which is also what scores are compared with."""

import contextlib
import hashlib
import itertools
import struct
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fasttext")

import fasttext

from transforms.kernels.fasttext import ONE_VS_ALL, score_tokens
from transforms.kernels.fasttext_tokens import find_tokens
from transforms.quality import fasttext_model
from transforms.quality.fasttext_model import ModelError, load_model, read_labels

TOLERANCE = 1.01e-5  # a probability of 1e-5 may be 0, and 1e-5 is no float32
# Name -> (settings of training, settings of quantising or None).
MODELS = {
    "softmax": ({}, None),
    "bigrams": ({"wordNgrams": 2}, None),
    "trigrams": ({"wordNgrams": 3, "dim": 13}, None),
    "subwords": ({"minn": 1, "maxn": 3, "dim": 16}, None),
    "subwords and bigrams": ({"minn": 2, "maxn": 4, "wordNgrams": 2, "dim": 5}, None),
    "hierarchical": ({"loss": "hs", "minn": 3, "maxn": 3}, None),
    "one against all": ({"loss": "ova", "wordNgrams": 2}, None),
    "negative sampling": ({"loss": "ns"}, None),
    "rare words": ({"minCount": 30, "wordNgrams": 2}, None),  # the end of a line may be unknown
    "quantised": ({"wordNgrams": 2}, {}),
    "quantised, odd": ({"wordNgrams": 2, "dim": 11}, {"dsub": 4}),
    "quantised with norms": ({"minn": 2, "maxn": 3}, {"qnorm": True}),
    "pruned": ({"minn": 2, "maxn": 4, "wordNgrams": 2}, {"cutoff": 400, "qnorm": True}),
    "pruned hierarchical": ({"loss": "hs", "minn": 2, "maxn": 4}, {"cutoff": 300}),
    "quantised output": ({"labels": 300, "loss": "softmax"}, {"qout": True, "qnorm": True}),
}


class Trained:
    def __init__(self, folder, name, texts):
        training, quantising = MODELS[name]
        training = {"dim": 10, "bucket": 3000, "epoch": 3, "lr": 0.2, **training}
        labels = training.pop("labels", 5)
        data = folder / "train.txt"
        data.write_text(
            "\n".join(
                f"__label__{n % labels:03} {' '.join(text.split())}" for n, text in enumerate(texts)
            )
        )
        # Twelve threads: with one, fastText fills a tenth of its matrix and leaves the rest.
        model = fasttext.train_supervised(str(data), thread=12, verbose=0, **training)
        if quantising is not None:
            model.quantize(str(data), verbose=0, **quantising)
        self.path = str(folder / "model.bin")
        model.save_model(self.path)
        self.content = (folder / "model.bin").read_bytes()
        self.model = load_model(self.path, hashlib.sha256(self.content).hexdigest())
        self.library = fasttext.load_model(self.path)

    def expected(self, text):
        """The library's probabilities in the order of our labels."""
        line = text.replace("</s>", " ").replace("\n", " ") + "\n"
        ranked = self.library.f.predict(line, len(self.model.labels), 0.0, "strict")
        scores = dict.fromkeys(self.model.labels, 0.0)
        for probability, label in ranked:
            scores[label.removeprefix("__label__")] = min(probability, 1.0)
        return np.array(list(scores.values()))

    def at_a_step(self, text):
        """Labels whose logistic function is next to one of its steps, where rounding decides."""
        if self.model.network.loss != ONE_VS_ALL:
            return np.zeros(len(self.model.labels), np.bool_)
        line = text.replace("</s>", " ").replace("\n", " ")
        place = self.library.get_output_matrix() @ self.library.get_sentence_vector(line) * 32
        return np.abs(place - np.round(place)) < 0.01


@pytest.fixture(scope="module", params=sorted(MODELS))
def trained(request, tmp_path_factory, corpus):
    return Trained(tmp_path_factory.mktemp("model"), request.param, corpus)


@pytest.fixture(scope="module")
def small(tmp_path_factory, corpus):
    """A dense and a pruned model, for what does not depend on how they were trained."""
    return [Trained(tmp_path_factory.mktemp("model"), one, corpus) for one in ("bigrams", "pruned")]


def score(model, texts):
    encoded = [text.encode() for text in texts]
    offsets = np.array([0, *itertools.accumulate(map(len, encoded))], np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    asked = np.arange(len(model.labels), dtype=np.int32)
    return score_tokens(data, find_tokens(data, offsets), model.network, asked)


def check_equal(trained, texts, tolerance=TOLERANCE):
    scores = score(trained.model, texts)
    for row, text in enumerate(texts):
        expected = trained.expected(text)
        seen = scores.asked[:, row]
        unsure = trained.at_a_step(text)
        assert np.abs(seen - expected)[~unsure].max(initial=0) <= tolerance, text
        assert scores.score[row] == seen.max(initial=0)
        if scores.best[row] >= 0:
            assert seen[scores.best[row]] == scores.score[row]
        else:
            assert not expected.any()


PIECES = st.sampled_from(
    [
        *("return", "self", "the", "value", "None", "x", "the quick", "naïve", "é", "日本語"),
        *("__label__001", "__label__", "__label__x", "</s>", "<", ">", "<s>", "\U0001f600"),
        *("\u3000", "\xa0", "\x85", "\x00", "\v", "\f", "\r", "\n", "\t", " ", "\u0301", "\x1c"),
    ]
)
CHARACTERS = st.characters(codec="utf-8")
TEXTS = st.lists(PIECES | CHARACTERS, max_size=40).map("".join)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_scores_of_arbitrary_text_are_the_librarys(trained, texts):
    check_equal(trained, texts)


def test_scores_of_real_text_are_the_librarys(trained, corpus):
    check_equal(trained, [*corpus, "\n".join(corpus)])


def test_a_document_is_scored_alike_wherever_it_stands(trained, corpus):
    together = score(trained.model, corpus)
    for row in range(0, len(corpus), 17):
        alone = score(trained.model, [corpus[row]])
        assert (alone.asked[:, 0] == together.asked[:, row]).all()


def test_long_texts_and_long_words_are_scored_as_the_library_does(trained, corpus):
    text = "\n".join(corpus)
    # The library adds up tens of thousands of float32 one by one, which rounds more than we do.
    check_equal(trained, ["x" * 5000, "日本" * 3000, "ab " * 5000, text * 3], tolerance=1e-4)


def test_labels_are_read_without_the_matrices(trained):
    assert read_labels(trained.path) == trained.model.labels
    assert {f"__label__{one}" for one in trained.model.labels} == set(trained.library.labels)


def test_a_quantised_matrix_that_stays_packed_scores_alike(tmp_path_factory, corpus, monkeypatch):
    monkeypatch.setattr(fasttext_model, "UNPACKED_BYTES", 0)
    for name in ("quantised, odd", "pruned"):
        packed = Trained(tmp_path_factory.mktemp("model"), name, corpus)
        assert len(packed.model.network.codes)
        assert not len(packed.model.network.rows)
        check_equal(packed, corpus[:50])


def test_no_python_runs_per_document(small, corpus):
    calls = []

    def count(texts):
        score(small[0].model, texts)  # compiled by now
        calls.append(0)
        sys.setprofile(lambda *_: calls.__setitem__(-1, calls[-1] + 1))
        try:
            score_tokens(*prepared, np.zeros(1, np.int32))
        finally:
            sys.setprofile(None)

    for copies in (1, 40):
        encoded = [text.encode() for text in corpus[:20] * copies]
        offsets = np.array([0, *itertools.accumulate(map(len, encoded))], np.int64)
        data = np.frombuffer(b"".join(encoded), np.uint8)
        prepared = (data, find_tokens(data, offsets), small[0].model.network)
        count(corpus[:2])
    assert calls[0] == calls[1]


# Files that do not hold


def refused(tmp_path, content, match=None):
    """Loading fails in one sentence; reading labels too, where the reason is in the header."""
    path = tmp_path / "damaged.bin"
    path.write_bytes(content)
    for read in (
        lambda: load_model(str(path), hashlib.sha256(content).hexdigest()),
        lambda: read_labels(str(path)),
    ):
        with pytest.raises(ModelError, match=match) as caught:
            read()
        assert "\n" not in str(caught.value)
        if match is None:
            return


def test_a_truncated_file_is_refused_wherever_it_ends(small, tmp_path):
    for trained in small:
        content = trained.content
        ends = {*range(0, 120), *range(120, len(content), len(content) // 40), len(content) - 1}
        for end in sorted(ends):
            refused(tmp_path, content[:end])


def test_what_follows_the_end_is_refused(small, tmp_path):
    for trained in small:
        refused(tmp_path, trained.content + b"\0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it has 0 bytes only"),
        (b"PK\x03\x04" + bytes(100), "it does not begin as one"),
        (b"some text that is no model at all", "it does not begin as one"),
        (struct.pack("<ii", 793712314, 13) + bytes(100), "format is version 13"),
    ],
)
def test_other_files_are_named_as_what_they_are(tmp_path, content, reason):
    refused(tmp_path, content, reason)


def test_a_model_of_word_vectors_is_no_classifier(tmp_path, corpus):
    (tmp_path / "text.txt").write_text("\n".join(corpus))
    model = fasttext.train_unsupervised(
        str(tmp_path / "text.txt"), dim=4, bucket=100, epoch=1, thread=12, verbose=0
    )
    model.save_model(str(tmp_path / "vectors.bin"))
    content = (tmp_path / "vectors.bin").read_bytes()
    refused(tmp_path, content, "only classifiers")


HEADER = {  # place in the file -> what stands there (int32)
    8: "dim", 28: "wordNgrams", 32: "loss", 40: "bucket", 44: "minn", 48: "maxn",
    64: "size", 68: "words", 72: "labels",
}  # fmt: skip


@pytest.mark.parametrize("place", sorted(HEADER))
@pytest.mark.parametrize("value", [-1, 0, 1, 7, 1 << 20, (1 << 31) - 1, -(1 << 31)])
def test_a_wrong_number_in_the_header_takes_no_memory_and_crashes_nothing(
    small, tmp_path, place, value
):
    for trained in small:
        content = bytearray(trained.content)
        struct.pack_into("<i", content, place, value)
        try_damaged(tmp_path, bytes(content))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    which=st.integers(0, 1),
    where=st.floats(0, 1, exclude_max=True),
    changed=st.binary(min_size=1, max_size=12),
)
def test_changed_bytes_crash_nothing(small, tmp_path, which, where, changed):
    content = bytearray(small[which].content)
    place = int(where * where * len(content))  # the header is met more often
    content[place : place + len(changed)] = changed
    try_damaged(tmp_path, bytes(content))


def try_damaged(tmp_path, content):
    """Read what may be a model; anything but a ModelError or scores fails the test."""
    path = tmp_path / "damaged.bin"
    path.write_bytes(content)
    model = None
    with contextlib.suppress(ModelError):
        model = load_model(str(path), hashlib.sha256(content).hexdigest())
    if model is not None:
        score(model, ["the value of self", "日本語 naïve"])


def test_another_file_under_the_same_name_is_refused(small):
    with pytest.raises(ModelError, match="was changed while"):
        load_model(small[0].path, "0" * 64)
