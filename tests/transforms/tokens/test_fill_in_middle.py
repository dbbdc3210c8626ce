"""Filling in the middle: every document can be put together again, and the rest stays as it is."""

import base64
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.tokens.fill_in_middle import FillInMiddle, encode_with_middles, find_token
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TokenizerError, TokenizerSpec
from transforms.tokens.tokenizer import Tokenizer

PREFIX, MIDDLE, SUFFIX = 301, 302, 303
SPECIAL = (("<|endoftext|>", 300), ("<|fim_middle|>", MIDDLE), ("<|fim_prefix|>", PREFIX),
           ("<|fim_suffix|>", SUFFIX))  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("ranks") / "ranks.tiktoken"
    ranks = [bytes([byte]) for byte in range(256)] + [
        b"th",
        b"the",
        b" the",
        b"\xc3\xa4",
        b"\xf0\x9f",
    ]
    lines = [f"{base64.b64encode(one).decode()} {rank}" for rank, one in enumerate(ranks)]
    path.write_text("\n".join(lines))
    return load_tokenizer(TokenizerSpec(str(path), "cl100k", SPECIAL))


def asked(
    rate: float = 1.0, spm: float = 0.5, split: str = "characters", seed: int = 0
) -> FillInMiddle:
    return FillInMiddle(rate, spm, split, PREFIX, MIDDLE, SUFFIX, seed)


def encode(
    tokenizer: Tokenizer, texts: list[str], its: FillInMiddle
) -> tuple[list[list[int]], int]:
    ids = pa.array([f"d{n}" for n in range(len(texts))], pa.string())
    tokens, bounds, count = encode_with_middles(
        tokenizer, ids, pa.array(texts, pa.large_string()), its
    )
    return [tokens[a:b].tolist() for a, b in pairwise(bounds)], count


texts = st.lists(st.text(st.sampled_from("the äö\U0001f600\n x"), max_size=30), max_size=12)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts, st.sampled_from([0.0, 1.0]), st.sampled_from(["characters", "tokens"]), st.integers(0, 9)
)
def test_a_rearranged_document_can_be_put_together_again(
    tokenizer: Tokenizer, texts: list[str], spm: float, split: str, seed: int
) -> None:
    found, count = encode(tokenizer, texts, asked(1.0, spm, split, seed))
    assert count == len(texts) == len(found)
    for text, tokens in zip(texts, found, strict=True):
        assert tokens[0] == PREFIX
        suffix, middle = tokens.index(SUFFIX), tokens.index(MIDDLE)
        tail = tokens[suffix + 1 : middle]
        if spm:
            assert suffix == 1
            rest = tokens[middle + 1 :]  # prefix and middle, one behind the other
        else:
            rest = tokens[1:suffix] + tokens[middle + 1 :]
        assert len(rest) + len(tail) + 3 == len(tokens)
        whole = [tokenizer.decode(np.array(part, np.uint32)) for part in (rest, tail)]
        assert b"".join(whole).decode() == text
        for part in (tokens[1:suffix], tail, tokens[middle + 1 :]):
            tokenizer.decode(np.array(part, np.uint32)).decode()  # no character is cut
        if split == "tokens":
            plain, _ = tokenizer.encode(pa.array([text], pa.large_string()))
            assert rest + tail == plain.tolist()


def test_a_share_of_documents_is_rearranged_and_the_others_are_as_they_were(
    tokenizer: Tokenizer,
) -> None:
    texts = [f"the text {n} of the thing" for n in range(2000)]
    plain, none = encode(tokenizer, texts, asked(0.0))
    found, count = encode(tokenizer, texts, asked(0.3, 0.25))
    assert none == 0
    assert 500 < count < 700
    changed = [one for one, before in zip(found, plain, strict=True) if one != before]
    assert len(changed) == count
    suffix_first = sum(one[:2] == [PREFIX, SUFFIX] for one in changed)
    assert 0.15 < suffix_first / count < 0.40  # an empty prefix looks the same
    assert all(one[0] == PREFIX for one in changed)
    # By the document alone, whatever stands beside it.
    ids = pa.array([f"d{n}" for n in range(1000, 1003)], pa.string())
    some, _, _ = encode_with_middles(
        tokenizer, ids, pa.array(texts[1000:1003], pa.large_string()), asked(0.3, 0.25)
    )
    assert some.tolist() == [one for its in found[1000:1003] for one in its]
    assert encode(tokenizer, texts, asked(0.3, 0.25, seed=1))[0] != found


def test_sentinels_are_found_by_name_or_refused(tokenizer: Tokenizer) -> None:
    assert find_token(tokenizer, "<|fim_middle|>") == MIDDLE
    with pytest.raises(TokenizerError, match="has no token '<MID>'"):
        find_token(tokenizer, "<MID>")
