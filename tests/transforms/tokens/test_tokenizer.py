"""Tokenizers by every kind of name, against the libraries that they come from."""

import argparse
import gzip
import hashlib
import http.server
import inspect
import json
import pickle
import pydoc
import subprocess
import sys
import threading
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiktoken
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from transforms.kernels.split import PATTERNS, find_pattern
from transforms.kernels.words import find_words
from transforms.tokens import tokenizer as tokenizer_module
from transforms.tokens import tokenizer_json
from transforms.tokens.loading import file_content, file_spec, load_tokenizer
from transforms.tokens.specification import TIKTOKEN_PATTERNS, TokenizerError, TokenizerSpec
from transforms.tokens.training import train_bpe

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["", "Hello, world! It's <|endoftext|> 12345", "def f(x):\n    return x\n", "é中\0😀 \t\n "]
CL100K_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"


def large(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def encode(tokenizer, texts: list[str]) -> list[list[int]]:
    tokens, bounds = tokenizer.encode(large(texts))
    assert tokens.dtype == np.uint32
    return [tokens[bounds[d] : bounds[d + 1]].tolist() for d in range(len(texts))]


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A `tokenizer.json` of our own, trained on code of the standard library."""
    path = tmp_path_factory.mktemp("trained") / "tokenizer.json"
    texts = (Path(module.__file__).read_text() for module in (argparse, inspect, pydoc))
    train_bpe(texts, 1000, str(path))
    return path


@pytest.fixture(scope="session")
def rank_file(tmp_path_factory) -> Path:
    """The ranks of cl100k_base, which an installed package ships."""
    packed = (resources.files("bpe_openai.data") / "cl100k_base.tiktoken.gz").read_bytes()
    path = tmp_path_factory.mktemp("ranks") / "cl100k_base.tiktoken"
    path.write_bytes(gzip.decompress(packed))
    return path


def edited(path: Path, folder: Path, **changes) -> TokenizerSpec:
    """The same `tokenizer.json` with some of its parts replaced."""
    folder.mkdir(exist_ok=True)
    copy = folder / "tokenizer.json"
    copy.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return TokenizerSpec(str(copy))


def byte_level(prefix: bool = False, regex: bool = True) -> dict:
    return {
        "type": "ByteLevel",
        "add_prefix_space": prefix,
        "trim_offsets": True,
        "use_regex": regex,
    }


def digits(individual: bool) -> dict:
    return {"type": "Digits", "individual_digits": individual}


def split(expression: str, behavior: str = "Isolated", invert: bool = False) -> dict:
    return {
        "type": "Split",
        "pattern": {"Regex": expression},
        "behavior": behavior,
        "invert": invert,
    }


def sequence(*steps: dict) -> dict:
    return {"type": "Sequence", "pretokenizers": list(steps)}


EXPRESSIONS = {pattern.name: pattern.expressions[-1] for pattern in PATTERNS}
FORMS = {
    "llama3": sequence(split(EXPRESSIONS["llama3"]), byte_level(regex=False)),
    "inverted": sequence(split(EXPRESSIONS["llama3"], "Removed", True), byte_level(regex=False)),
    "qwen2": sequence(split(EXPRESSIONS["qwen2"]), byte_level(regex=False)),
    "o200k": sequence(split(EXPRESSIONS["o200k"]), byte_level(regex=False)),
    "gpt2": byte_level(),
    "prefix": byte_level(prefix=True),
    "sequence of one": sequence(byte_level(prefix=True)),
    "digits": sequence(digits(True), byte_level()),
    "numbers": sequence(digits(False), byte_level()),
}


@pytest.fixture(scope="session")
def forms(trained, tmp_path_factory) -> dict:
    """Of each form, with and without `ignore_merges`: our tokenizer and the library's."""
    model = json.loads(trained.read_text())["model"]
    folder, found = tmp_path_factory.mktemp("forms"), {}
    for name, form in FORMS.items():
        for ignore in (False, True):
            changes = {"pre_tokenizer": form, "model": {**model, "ignore_merges": ignore}}
            spec = edited(trained, folder / f"{name}{ignore}", **changes)
            library = tokenizers.Tokenizer.from_file(spec.name)
            library.encode_special_tokens = True
            found[name, ignore] = load_tokenizer(spec), library
    return found


@pytest.mark.parametrize("ignore_merges", [False, True])
@pytest.mark.parametrize("name", FORMS)
@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
            st.text(
                st.sampled_from(" \t\r\n12٣Ⅳ'sSſK\u212akLlreVE中か\u0301aéÉßǅ!/<|>"), max_size=40
            ),
            st.text(st.sampled_from("return selfoint_([, \n1"), max_size=120),
        ),
        max_size=4,
    )
)
@example(texts=[*TEXTS, "", " a", "\ta", "a\r\n\r\n 12  345\u3000", "self.return  3"])
def test_a_known_form_of_pre_tokenizer_runs_in_the_kernel_and_equals_the_library(
    forms, name, ignore_merges, texts
):
    tokenizer, library = forms[name, ignore_merges]
    assert (tokenizer.kernel, tokenizer.notice) == (True, "")
    assert encode(tokenizer, texts) == [library.encode(text).ids for text in texts]


def test_patterns_of_named_encodings_are_those_of_tiktoken(monkeypatch):
    for function in ("load_tiktoken_bpe", "data_gym_to_mergeable_bpe_ranks"):
        monkeypatch.setattr(openai_public, function, lambda *_, **__: {})
    for name, pattern in TIKTOKEN_PATTERNS.items():
        expression = openai_public.ENCODING_CONSTRUCTORS[name]()["pat_str"]
        assert find_pattern(expression).name == pattern


def test_a_trained_tokenizer_runs_in_the_kernel_and_equals_the_library(trained):
    tokenizer = load_tokenizer(TokenizerSpec(str(trained)))
    assert (tokenizer.kernel, tokenizer.reason) == (True, "")
    assert (tokenizer.identity.eos, tokenizer.identity.pad, tokenizer.identity.vocabulary_size) == (
        0,
        1,
        1000,
    )
    library = tokenizers.Tokenizer.from_file(str(trained))
    library.encode_special_tokens = True
    assert encode(tokenizer, TEXTS) == [library.encode(text).ids for text in TEXTS]


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=4))
def test_any_text_comes_back_to_the_byte(trained, texts):
    tokenizer = load_tokenizer(TokenizerSpec(str(trained)))
    tokens, bounds = tokenizer.encode(large(texts))
    data, offsets = tokenizer.decode_documents(tokens, bounds)
    wanted = [text.encode() for text in texts]
    assert [data[offsets[d] : offsets[d + 1]].tobytes() for d in range(len(texts))] == wanted
    assert tokenizer.decode(tokens) == b"".join(wanted)


def test_text_that_spells_a_special_token_is_ordinary_text(trained, rank_file):
    spelled = "a<|endoftext|>b<|pad|>"
    spec = TokenizerSpec(str(rank_file), "cl100k", (("<|endoftext|>", 100257),))
    for tokenizer in (load_tokenizer(TokenizerSpec(str(trained))), load_tokenizer(spec)):
        (tokens,) = encode(tokenizer, [spelled])
        assert tokenizer.identity.eos not in tokens
        assert tokenizer.identity.pad not in tokens
        assert tokenizer.decode(np.array(tokens, np.uint32)) == spelled.encode()
        assert tokenizer.decode(np.array([tokenizer.identity.eos], np.uint32)) == b"<|endoftext|>"


def test_a_rank_file_has_the_tokens_of_tiktoken(rank_file, monkeypatch, tmp_path):
    special = {"<|endoftext|>": 100257, "<|pad|>": 100277}
    recipe = {"name": str(rank_file), "pattern": "cl100k", "special_tokens": special}
    tokenizer = load_tokenizer(TokenizerSpec.from_recipe(recipe))
    assert (tokenizer.identity.eos, tokenizer.identity.pad, tokenizer.identity.vocabulary_size) == (
        100257,
        100277,
        100278,
    )
    cached = tmp_path / hashlib.sha1(CL100K_URL.encode()).hexdigest()
    cached.write_bytes(rank_file.read_bytes())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    wanted = tiktoken.get_encoding("cl100k_base")
    assert encode(tokenizer, TEXTS) == wanted.encode_ordinary_batch(TEXTS)
    by_name = load_tokenizer(TokenizerSpec("cl100k_base"))
    assert (by_name.kernel, by_name.identity.eos, by_name.identity.pad) == (True, 100257, 100257)
    assert by_name.identity.vocabulary_size == wanted.n_vocab
    assert encode(by_name, TEXTS) == encode(tokenizer, TEXTS)


def test_the_fingerprint_is_of_the_tokenizer_and_not_of_its_path(trained, tmp_path):
    here = load_tokenizer(TokenizerSpec(str(trained)))
    padding = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None}
    padding.update(pad_id=1, pad_type_id=0, pad_token="<|pad|>")
    there = load_tokenizer(edited(trained, tmp_path / "a", padding=padding))
    assert there.identity.fingerprint == here.identity.fingerprint
    model = json.loads(trained.read_text())["model"]
    shorter = {**model, "merges": model["merges"][:-1]}
    others = [
        load_tokenizer(edited(trained, tmp_path / "b", model=shorter)),
        load_tokenizer(edited(trained, tmp_path / "c", normalizer={"type": "NFC"})),
        load_tokenizer(TokenizerSpec(str(trained), eos="<|pad|>")),
    ]
    prints = {one.identity.fingerprint for one in (here, *others)}
    assert len(prints) == 4


def test_a_folder_that_holds_a_tokenizer_is_its_name_too(trained):
    by_folder = load_tokenizer(TokenizerSpec(str(trained.parent)))
    assert (
        by_folder.identity.fingerprint
        == load_tokenizer(TokenizerSpec(str(trained))).identity.fingerprint
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normalizer": {"type": "NFC"}}, "its normalizer (NFC) changes texts"),
        (
            {"pre_tokenizer": sequence(split(r"\w+|\W"), byte_level(regex=False))},
            "its pre-tokenizer is none of the split patterns that are compiled",
        ),
        (
            {"pre_tokenizer": sequence(digits(True), byte_level(prefix=True))},
            "its pre-tokenizer is none of the split patterns that are compiled",
        ),
    ],
)
def test_what_the_kernel_cannot_do_the_library_does(trained, tmp_path, changes, reason):
    spec = edited(trained, tmp_path, **changes)
    tokenizer = load_tokenizer(spec)
    assert (tokenizer.kernel, tokenizer.reason) == (False, reason)
    assert tokenizer.notice.startswith("the tokenizers library encodes all texts")
    assert tokenizer.notice.endswith(f"because {reason}")
    library = tokenizers.Tokenizer.from_file(spec.name)
    library.encode_special_tokens = True
    texts = [*TEXTS, "e\u0301 combining"]
    assert encode(tokenizer, texts) == [library.encode(text).ids for text in texts]
    assert all(tokenizer.identity.eos not in tokens for tokens in encode(tokenizer, texts))
    tokens, bounds = tokenizer.encode(large(TEXTS[:3]))
    decoded = tokenizer.decode_documents(tokens, bounds)[0].tobytes().decode()
    assert decoded.replace(" ", "") == "".join(TEXTS[:3]).replace(" ", "")


def test_a_tokenizer_that_is_not_byte_level_is_the_librarys(tmp_path):
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=60, special_tokens=["[UNK]", "[EOS]"], show_progress=False
    )
    tokenizer.train_from_iterator(["the quick brown fox"], trainer)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    loaded = load_tokenizer(TokenizerSpec(str(path)))
    assert (loaded.kernel, loaded.reason) == (False, "it is not byte-level BPE")
    assert encode(loaded, ["The Fox", ""]) == [tokenizer.encode("the fox").ids, []]
    tokens, bounds = loaded.encode(large(["the fox", "brown"]))
    data, offsets = loaded.decode_documents(tokens, bounds)
    assert data[: offsets[1]].tobytes() == b"the fox"
    with pytest.raises(ValueError, match="token 77 at place 0 is outside the vocabulary"):
        loaded.decode(np.array([77], np.uint32))


def test_batches_of_the_library_are_bounded_and_change_nothing(trained, tmp_path, monkeypatch):
    tokenizer = load_tokenizer(edited(trained, tmp_path, normalizer={"type": "NFC"}))
    texts = ["", "x" * 100, "short", "", "y " * 80, "z"]
    wanted = encode(tokenizer, texts)
    for most in (1, 7, 101, 1000):
        monkeypatch.setattr(tokenizer_module, "LIBRARY_BATCH_BYTES", most)
        assert encode(tokenizer, texts) == wanted
    assert encode(tokenizer, []) == []


def test_texts_with_added_tokens_that_are_not_special_equal_the_library(trained, tmp_path):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    parsed = json.loads(trained.read_text())
    added = [
        *parsed["added_tokens"],
        {"id": 1000, "content": "|||PHONE|||", "special": False, **flags},
    ]
    spec = edited(trained, tmp_path, added_tokens=added)
    tokenizer = load_tokenizer(spec)
    assert tokenizer.kernel
    assert "1 added tokens" in tokenizer.reason
    library = tokenizers.Tokenizer.from_file(spec.name)
    library.encode_special_tokens = True
    texts = ["call |||PHONE||| now <|endoftext|>", *TEXTS, "|||PHONE|||", "||PHONE||"]
    found = encode(tokenizer, texts)
    assert found == [library.encode(text).ids for text in texts]
    assert 1000 in found[0]
    assert encode(tokenizer, TEXTS) == [library.encode(text).ids for text in TEXTS]
    assert tokenizer.decode(np.array(found[0], np.uint32)) == texts[0].encode()


@pytest.mark.parametrize("content", ["é", "Ġthe"])
def test_an_added_token_that_is_also_one_of_the_vocabulary_goes_to_the_library(
    trained, tmp_path, content
):
    library = tokenizers.Tokenizer.from_file(str(trained))
    assert library.token_to_id(content) is not None
    library.add_tokens([content])
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(TokenizerSpec(str(tmp_path / "tokenizer.json")))
    assert not tokenizer.kernel
    assert tokenizer.reason == f"{content!r} is a token of its vocabulary and an added one"
    texts = [*TEXTS, "in the end", "caf\xe9 " + "the " * 40]
    library.encode_special_tokens = True
    assert encode(tokenizer, texts) == [library.encode(text).ids for text in texts]


@pytest.mark.parametrize(("token", "apart"), [("<mask>", True), ("MASK", False)])
def test_blanks_that_an_added_token_eats_are_not_decoded(trained, tmp_path, token, apart):
    library = tokenizers.Tokenizer.from_file(str(trained))
    library.add_tokens([tokenizers.AddedToken(token, lstrip=True, rstrip=True)])
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(TokenizerSpec(str(tmp_path / "tokenizer.json")))
    text = f"see {token} here"
    [ids] = encode(tokenizer, [text])
    assert ids == library.encode(text).ids
    decoded = tokenizer.decode(np.array(ids, np.uint32))
    assert decoded == f"see{token}here".encode()
    # What the scan for benchmarks reads, in the text and in what is decoded.
    counts = [
        len(find_words(np.frombuffer(one, np.uint8), np.array([0, len(one)])).hashes)
        for one in (text.encode(), decoded)
    ]
    assert counts == [3, 3 if apart else 1]


def test_a_slice_of_texts_is_encoded_by_itself_and_nulls_are_refused(trained):
    tokenizer = load_tokenizer(TokenizerSpec(str(trained)))
    tokens, bounds = tokenizer.encode(large(["skipped", *TEXTS])[1:])
    wanted = encode(tokenizer, TEXTS)
    assert bounds.tolist() == np.cumsum([0, *map(len, wanted)]).tolist()
    assert tokens.tolist() == [token for text in wanted for token in text]
    with pytest.raises(ValueError, match="text must hold no null"):
        tokenizer.encode(pa.array(["a", None], pa.large_string()))


def test_threads_share_a_tokenizer(trained):
    tokenizer = load_tokenizer(TokenizerSpec(str(trained)))
    texts = [f"text number {i} of {i * i}" for i in range(200)]
    wanted, found = encode(tokenizer, texts), [None] * 4

    def work(place: int) -> None:
        found[place] = encode(tokenizer, texts)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4


def test_a_spec_is_small_and_can_be_sent_to_workers():
    recipe = {"name": "x.tiktoken", "pattern": "o200k", "special_tokens": {"b": 2, "a": 1}}
    spec = TokenizerSpec.from_recipe(recipe)
    assert spec.special_tokens == (("a", 1), ("b", 2))
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert TokenizerSpec.from_recipe("org/name") == TokenizerSpec("org/name")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"name": "a", "patern": "x"}, "keys of eos, name, pad, pattern, special_tokens"),
        ({"pattern": "cl100k"}, "must be a name or have a 'name'"),
        ({"name": "a", "eos": 5}, "'tokenizer.eos' must be text (got 5)"),
        ({"name": "a", "special_tokens": {"x": "1"}}, "must map tokens to their ids"),
        ({"name": "a", "special_tokens": {"x": True}}, "must map tokens to their ids"),
    ],
)
def test_a_wrong_recipe_is_told_in_a_sentence(recipe, message):
    with pytest.raises(TokenizerError) as error:
        TokenizerSpec.from_recipe(recipe)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (b"{not json", {}, "must be a tokenizer.json that the tokenizers library reads"),
        (b"{}", {}, "must be a tokenizer.json that the tokenizers library reads"),
        (b'[{"a": 1}]', {}, "must be a tokenizer.json, a JSON object as the tokenizers library"),
        (b" \n", {"pattern": "gpt2"}, "tokenizer.json, a JSON object as the tokenizers library"),
        (b"YQ== 4000000000\n", {"pattern": "gpt2"}, "ids must be below 1,048,575 (got 4,000"),
        (b"YQ== 0\nYg==\n", {"pattern": "gpt2"}, "line 2 must be a token in base64 and its rank"),
        (b"YQ== 0\nYg== 0\n", {"pattern": "gpt2"}, "ranks must be different"),
        (b"YQ== 0\n", {}, "needs a 'pattern' of cl100k, llama3, qwen2, o200k, gpt2, gpt2_numbers"),
        (b"YQ== 0\n", {"pattern": "gpt2"}, "byte 0 must be a token of the vocabulary"),
        (
            b"YQ== 0\n",
            {"pattern": "gpt2", "special_tokens": (("x", 0),)},
            "special tokens must have ids of their own",
        ),
    ],
)
def test_a_broken_file_is_told_in_a_sentence(tmp_path, content, fields, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(TokenizerError) as error:
        load_tokenizer(TokenizerSpec(str(path), **fields))
    assert message in str(error.value)


def test_json_that_is_no_object_is_not_taken_for_ranks(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("null")
    with pytest.raises(TokenizerError, match=r"must be a tokenizer.json.*begins with b'null'"):
        load_tokenizer(TokenizerSpec(str(path)))


def test_a_byte_order_mark_changes_nothing(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xef\xbb\xbf" + trained.read_bytes())
    marked, plain = (load_tokenizer(TokenizerSpec(str(one))) for one in (path, trained))
    assert marked.identity == plain.identity


def test_an_id_beyond_all_vocabularies_is_told_before_tables_are_made(
    trained, tmp_path, monkeypatch
):
    model = json.loads(trained.read_text())["model"]
    model["vocab"]["zzzz"] = 4_000_000_000
    monkeypatch.setattr(tokenizer_json, "pack_tokens", None)
    with pytest.raises(TokenizerError, match=r"below 16,777,216 \('zzzz' has 4,000,000,000\)"):
        load_tokenizer(edited(trained, tmp_path, model=model))


@pytest.mark.parametrize(
    "model",
    [
        models.WordPiece({"a": 0, "<eos>": 1}, unk_token="[UNK]"),
        models.WordLevel({"a": 0, "<eos>": 1}, unk_token="[UNK]"),
        models.Unigram([("a", -1.0), ("<eos>", -2.0)], unk_id=None),
    ],
    ids=["WordPiece", "WordLevel", "Unigram"],
)
def test_a_tokenizer_without_an_unknown_token_is_told_when_it_is_loaded(model, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizers.Tokenizer(model).save(str(path))
    with pytest.raises(TokenizerError, match="must name an unknown token"):
        load_tokenizer(TokenizerSpec(str(path)))


def test_a_missing_end_of_document_is_told(trained, tmp_path, rank_file):
    with pytest.raises(TokenizerError, match="must hold its 'eos' token '</stop>'"):
        load_tokenizer(TokenizerSpec(str(trained), eos="</stop>"))
    with pytest.raises(TokenizerError, match="must say which token closes a document: set 'eos'"):
        load_tokenizer(TokenizerSpec(str(rank_file), "cl100k"))


@pytest.mark.parametrize("name", ["no/such/tokenizer.json", "no_such_encoding", "a/b.tiktoken"])
def test_a_name_that_is_nothing_is_told(name):
    with pytest.raises(TokenizerError, match=r"must be a tokenizer[.]json or rank file"):
        load_tokenizer(TokenizerSpec(name))


LOAD = """
import sys
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TIKTOKEN_PATTERNS, TokenizerError, TokenizerSpec
try:
    print(load_tokenizer(TokenizerSpec(sys.argv[1])).identity.fingerprint)
except TokenizerError as error:
    print(error)
"""


def load_elsewhere(name: str, folder: Path, **environment: str) -> str:
    """In a process of its own: the clients read their settings when they are imported."""
    known = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "HF_HOME": str(folder), **environment}
    command = [sys.executable, "-c", LOAD, name]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=known, timeout=120, check=True
    )
    return done.stdout.strip()


def test_a_hub_name_is_fetched_from_the_hub(trained, tmp_path):
    content = trained.read_bytes()

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()
            self.wfile.write(content)

        def answer(self):
            found = self.path.split("?")[0].endswith("/org/name/resolve/main/tokenizer.json")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{hub.server_port}"
        fetched = load_elsewhere("org/name", tmp_path, HF_ENDPOINT=endpoint)
        hub.shutdown()
    assert fetched == load_tokenizer(TokenizerSpec(str(trained))).identity.fingerprint


def test_without_a_network_a_hub_name_is_told_in_a_sentence(tmp_path):
    told = load_elsewhere("org/name", tmp_path, HF_HUB_OFFLINE="1")
    assert "tokenizer 'org/name' could not be fetched from the hub" in told
    assert "\n" not in told


def test_an_encoding_of_tiktoken_is_the_same_tokenizer_as_the_file_made_of_it(
    tmp_path, monkeypatch
):
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"th": 256, b" the": 257}
    special = {"<|endoftext|>": 300, "<|fim|>": 301}
    small = tiktoken.Encoding(
        "small", pat_str=r"\w+|\W+", mergeable_ranks=ranks, special_tokens=special
    )
    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: small)
    named = TokenizerSpec("p50k_base", pad="<|fim|>")
    content, spec = file_content(named), file_spec(named)
    path = tmp_path / "ranks"
    path.write_bytes(content)
    loaded = load_tokenizer(replace(spec, name=str(path)))
    assert loaded.identity.fingerprint == load_tokenizer(named).identity.fingerprint
    assert (loaded.identity.eos, loaded.identity.pad) == (300, 301)


def test_a_tokenizer_of_the_hub_is_stored_as_its_json(monkeypatch):
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<eos>": 0}, "<eos>"))
    monkeypatch.setattr(tokenizers.Tokenizer, "from_pretrained", lambda name: library)
    spec = TokenizerSpec("org/name")
    assert (file_content(spec), file_spec(spec)) == (library.to_str().encode(), spec)


def test_without_a_network_a_tiktoken_name_is_told_in_a_sentence(tmp_path):
    told = load_elsewhere(
        "cl100k_base",
        tmp_path,
        TIKTOKEN_CACHE_DIR=str(tmp_path / "none"),
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert "tokenizer 'cl100k_base' is not in tiktoken's cache" in told
    assert "\n" not in told
