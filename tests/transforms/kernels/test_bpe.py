"""BPE kernels against tiktoken, the tokenizers library and a twin in plain Python."""

import base64
import gzip
import io
import itertools
import json
import string
import subprocess
import sys
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import tokenizers
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from transforms.kernels import bpe
from transforms.kernels.bpe import encode_texts, new_cache
from transforms.kernels.bpe_decoding import decode_tokens
from transforms.kernels.bpe_tables import Vocabulary, pack_tokens
from transforms.kernels.bpe_vocabulary import build_vocabulary
from transforms.kernels.split import PATTERNS, Pattern

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus"
BY_NAME = {pattern.name: pattern for pattern in PATTERNS}
TRICKY = " \t\n\r\x85\u3000'sSdDlLreVE\u017f0189٣Ⅳ²aAzéÉßǅʰªか中ا\u0301!/.-_\0😀"

texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=60),
    st.text(st.sampled_from(TRICKY), max_size=60),
    st.text(st.sampled_from("the anior \n"), max_size=200),
)


@cache
def ranks(name: str = "cl100k_base") -> dict[bytes, int]:
    packed = (resources.files("bpe_openai.data") / f"{name}.tiktoken.gz").read_bytes()
    lines = gzip.decompress(packed).splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}


@cache
def vocabulary(name: str = "cl100k_base") -> Vocabulary:
    return from_ranks(ranks(name))


def from_ranks(known: dict[bytes, int]) -> Vocabulary:
    tokens = [b""] * (max(known.values()) + 1)
    for token, rank in known.items():
        tokens[rank] = token
    ids = np.array(sorted(known.values()), np.int32)
    return build_vocabulary(pack_tokens(tokens), ids, None, whole_pieces=True)


@cache
def oracle(pattern: Pattern, name: str = "cl100k_base") -> tiktoken.Encoding:
    expression = pattern.expressions[0]
    return tiktoken.Encoding(
        pattern.name, pat_str=expression, mergeable_ranks=ranks(name), special_tokens={}
    )


def pack(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), offsets


def encode(documents: list[bytes], kind: int, known: Vocabulary, **kwargs) -> list[list[int]]:
    seen = kwargs.pop("cache", None)
    seen = new_cache() if seen is None else seen
    tokens, bounds = encode_texts(*pack(documents), kind, known, seen, **kwargs)
    assert tokens.dtype == np.uint32
    assert bounds.dtype == np.int64
    return [tokens[start:end].tolist() for start, end in itertools.pairwise(bounds)]


def merge_plainly(piece: bytes, rank_of) -> list[bytes]:
    """The twin: merge the leftmost pair of lowest rank until there is none."""
    symbols = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        found = [
            (rank, i)
            for i in range(len(symbols) - 1)
            if (rank := rank_of(symbols[i], symbols[i + 1])) is not None
        ]
        if not found:
            return symbols
        _, i = min(found)
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
@settings(deadline=None, max_examples=300)
@given(documents=st.lists(texts, max_size=4))
@example(documents=["", "a", "", "it's IT'S it'ſ", "<|endoftext|>", "x" * 65, "é" * 500])
@example(documents=["ʼn " * 40 + "supercalifragilistic" * 9, "\U0010ffff\ue000\0\x7f", "  \n "])
def test_tokens_are_those_of_tiktoken(pattern, documents):
    name = "o200k_base" if pattern.name == "o200k" else "cl100k_base"
    wanted = [oracle(pattern, name).encode_ordinary(text) for text in documents]
    packed = [text.encode() for text in documents]
    assert encode(packed, pattern.kind, vocabulary(name)) == wanted


@pytest.mark.skipif(not CORPUS.exists(), reason="corpus: ../shared/corpus is not there")
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_tokens_of_the_corpus_are_those_of_tiktoken(name):
    pattern = BY_NAME[name.removesuffix("_base")]
    with (CORPUS / "part-003.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        documents = [json.loads(line)["text"] for _, line in zip(range(800), lines, strict=False)]
    wanted = oracle(pattern, name).encode_ordinary_batch(documents, num_threads=1)
    assert encode([d.encode() for d in documents], pattern.kind, vocabulary(name)) == wanted


@pytest.mark.parametrize(
    "word",
    [
        "".join(np.random.default_rng(0).choice(list("etaoinshrdlu"), 300_000).tolist()),
        "a" * 200_000,
        "ab" * 100_000,
        "中文字" * 30_000,
        "=" * 150_000,
    ],
    ids=["letters", "one letter", "two letters", "ideographs", "signs"],
)
def test_a_word_of_many_windows_has_the_tokens_of_tiktoken(word):
    pattern = BY_NAME["cl100k"]
    assert encode([word.encode()], pattern.kind, vocabulary()) == [
        oracle(pattern).encode_ordinary(word)
    ]


@st.composite
def small_ranks(draw):
    """Byte tokens and some longer ones of a, b, c in any order of rank: merges may be unreachable,
    ranks may fall while a token grows."""
    longer = draw(
        st.lists(st.text("abc", min_size=2, max_size=6), min_size=1, max_size=14, unique=True)
    )
    known = {bytes([i]): i for i in range(256)}
    known.update({token.encode(): 256 + i for i, token in enumerate(longer)})
    return known


@settings(deadline=None, max_examples=300)
@given(known=small_ranks(), word=st.text("abc", max_size=200), window=st.integers(2, 80))
def test_windows_never_change_the_tokens(known, word, window):
    wanted = [known[token] for token in merge_plainly(word.encode(), lambda a, b: known.get(a + b))]
    if word.encode() in known:
        wanted = [known[word.encode()]]
    found = encode([word.encode()], BY_NAME["cl100k"].kind, from_ranks(known), window_bytes=window)
    assert found == [wanted]


def test_a_seam_that_does_not_hold_is_mended():
    # Ranks fall to the right, so that the last pair decides how all before it is cut.
    chain = string.ascii_letters[1:]
    word = "a" * 30 + chain
    known = {bytes([i]): i for i in range(256)}
    for left, right in reversed(list(itertools.pairwise(chain))):
        known[(left + right).encode()] = len(known)

    def cut(text: str) -> list[int]:
        return [known[t] for t in merge_plainly(text.encode(), lambda a, b: known.get(a + b))]

    assert cut(word)[30] != cut(word[:-1])[30]
    for window in (2, 7, 16, 33, 64, 80, 1000):
        assert encode([word.encode()], 0, from_ranks(known), window_bytes=window) == [cut(word)]


def byte_of_letters() -> dict[str, int]:
    """GPT-2's letters: printable bytes stand for themselves, others for what follows U+00FF."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


@cache
def shuffled_merges() -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Merges and ids of a small vocabulary; the order of merges is not the order of ids, so that
    some tokens are out of reach."""
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([Path(bpe.__file__).read_text()], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    order = np.random.default_rng(1).permutation(len(model["merges"]))
    return [tuple(model["merges"][i]) for i in order], model["vocab"]


@cache
def from_merges(whole_pieces: bool) -> tuple[Vocabulary, tokenizers.Tokenizer]:
    merges, ids = shuffled_merges()
    letters = byte_of_letters()
    spelled = {number: bytes(letters[c] for c in token) for token, number in ids.items()}
    rows = np.array([(ids[a], ids[b], ids[a + b]) for a, b in merges], np.int32)
    known = build_vocabulary(
        pack_tokens([spelled[number] for number in range(len(ids))]),
        np.arange(len(ids), dtype=np.int32),
        rows,
        whole_pieces,
    )
    library = tokenizers.Tokenizer(models.BPE(ids, merges, ignore_merges=whole_pieces))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return known, library


@pytest.mark.parametrize("whole_pieces", [False, True])
@settings(deadline=None, max_examples=200)
@given(text=st.one_of(texts, st.text(st.sampled_from("return selfoint_([, "), max_size=150)))
def test_merges_by_their_index_give_the_tokens_of_the_library(whole_pieces, text):
    known, library = from_merges(whole_pieces)
    wanted = library.encode(text, add_special_tokens=False).ids
    assert encode([text.encode()], BY_NAME["gpt2"].kind, known) == [wanted]


def test_a_whole_piece_is_a_token_only_where_merges_or_the_flag_say_so():
    known = {bytes([i]): i for i in range(256)} | {b"abc": 256}
    ids = np.arange(257, dtype=np.int32)
    packed = pack_tokens(list(known))
    merges = np.empty((0, 3), np.int32)
    assert encode([b"abc"], 0, build_vocabulary(packed, ids, merges, True)) == [[256]]
    assert encode([b"abc"], 0, build_vocabulary(packed, ids, merges, False)) == [[97, 98, 99]]


@settings(deadline=None, max_examples=200)
@given(documents=st.lists(st.binary(max_size=40), max_size=5))
@example(documents=[b"\xe4", b"\xf0\x9f", b"'\xc5", b"\xc0\x80\xff"])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_any_bytes_come_back_from_their_tokens(pattern, documents):
    known = vocabulary()
    data, offsets = pack(documents)
    tokens, bounds = encode_texts(data, offsets, pattern.kind, known, new_cache())
    decoded, starts = decode_tokens(tokens, bounds, known.token_bytes)
    np.testing.assert_array_equal(decoded, data)
    np.testing.assert_array_equal(starts, offsets)


def test_a_slice_of_a_batch_has_the_tokens_of_its_texts():
    data, offsets = pack([b"first text", b"second text", b"third"])
    known, kind = vocabulary(), BY_NAME["cl100k"].kind
    tokens, bounds = encode_texts(data, offsets[1:], kind, known, new_cache())
    assert bounds.tolist()[0] == 0
    assert [tokens[: bounds[1]].tolist(), tokens[bounds[1] :].tolist()] == encode(
        [b"second text", b"third"], kind, known
    )
    decoded, starts = decode_tokens(tokens, bounds[1:], known.token_bytes)
    assert decoded.tobytes() == b"third"
    assert starts.tolist() == [0, 5]


@settings(deadline=None, max_examples=100)
@given(first=texts, second=texts)
def test_what_was_encoded_before_changes_nothing(first, second):
    kind, seen = BY_NAME["cl100k"].kind, new_cache()
    encode([first.encode()], kind, vocabulary(), cache=seen)
    encode([second.encode()], kind, vocabulary(), cache=seen)
    assert encode([first.encode()], kind, vocabulary(), cache=seen) == encode(
        [first.encode()], kind, vocabulary()
    )


def test_equal_hashes_of_different_pieces_do_no_harm():
    known, kind, seen = vocabulary(), BY_NAME["cl100k"].kind, new_cache()
    piece = b"qzxwvkjqpyytqzxw"  # so long that its key is a hash
    (wanted,) = encode([piece], kind, known, cache=seen)
    (other,) = encode([b"wqxzjkvvgpzzwqxz"], kind, known)
    assert wanted != other
    # As if another piece of the same hash had been met before.
    (slot,) = np.flatnonzero(seen[:, 1])
    seen.view(np.uint32)[slot, 4 : 5 + len(other)] = [len(other), *other]
    assert encode([piece], kind, known, cache=seen) == [wanted]
    # As if a token of other bytes had the same hash, wherever it is sought.
    keys, tokens = known.piece_keys.copy(), known.piece_tokens.copy()
    empty = keys[:, 1] == 0
    keys[empty] = seen[slot, :2]
    tokens[empty] = 1234
    keys[0] = 0, 0  # a search must end somewhere
    full = known._replace(piece_keys=keys, piece_tokens=tokens)
    assert encode([piece], kind, full) == [wanted]


def test_a_token_beyond_the_vocabulary_is_told_with_its_place():
    tokens = np.array([97, 100256, 98], np.uint32)
    bounds = np.array([0, 3], np.int64)
    with pytest.raises(ValueError, match=r"token 100256 at place 1 is outside .* 100256 tokens"):
        decode_tokens(tokens, bounds, vocabulary().token_bytes)


def test_a_vocabulary_without_a_byte_is_refused():
    packed = pack_tokens([bytes([i]) for i in range(255)])
    with pytest.raises(ValueError, match="byte 255 must be a token"):
        build_vocabulary(packed, np.arange(255, dtype=np.int32), None, whole_pieces=True)


MEASURE = """
import resource, sys
import numpy as np
from transforms.kernels.bpe import encode_texts, new_cache
from transforms.kernels.bpe_tables import pack_tokens
from transforms.kernels.bpe_vocabulary import build_vocabulary
known = build_vocabulary(
    pack_tokens([bytes([i]) for i in range(256)] + [b"th", b"he", b"the"]),
    np.arange(259, dtype=np.int32), None, True)
def encode(data):
    offsets = np.array([0, len(data)], np.int64)
    tokens, bounds = encode_texts(np.frombuffer(data, np.uint8), offsets, 0, known, cache)
    return len(tokens)
cache = new_cache()
encode(b"warm up " * 100 + b"x" * 200_000)
data = eval(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tokens = encode(data)
print(len(data), tokens, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
MOST_SCRATCH = 8 << 20  # bytes beside the tokens: cache, window, pages that are half used


@pytest.mark.parametrize(
    ("data", "size"),
    [('b"the word " * 2_300_000', 20_700_000), ('b"thexheabcd" * 1_000_000', 10_000_000)],
    ids=["a document of 20 MB", "a word of 10 MB"],
)
def test_memory_is_that_of_the_tokens_and_a_constant(data, size):
    command = [sys.executable, "-c", MEASURE, data]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found_size, tokens, grown = map(int, found.stdout.split())
    assert found_size == size
    assert grown < 4 * tokens + MOST_SCRATCH
