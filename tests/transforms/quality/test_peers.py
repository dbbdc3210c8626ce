"""Verdicts beside datatrove's, on texts that are on every machine and on the benchmark corpus.

Each rule is read here once more, plainly, with switches: a switch replaces one of our definitions
by datatrove's. With all of them off the reading must give our verdict, with all of them on
datatrove's, for every document and to the reason. So a document on which the two differ differs
because of the switches, each of which `docs/rules.md` lists; the smallest set of them that turns
one verdict into the other is its explanation.
"""

import importlib.metadata
import io
import itertools
import re
import sysconfig
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import orjson
import pytest
import zstandard

from benchmarks.plain_c4 import ASCII_LOWER, CITATION, POLICIES
from transforms import query
from transforms.kernels.words import find_words
from transforms.quality.c4 import C4
from transforms.quality.fineweb import TERMINAL_PUNCTUATION, FineWeb
from transforms.quality.gopher import Gopher
from transforms.quality.rules import rule

for name in ("datatrove", "spacy"):
    pytest.importorskip(name, reason=f"could not import {name}, a test oracle")
from datatrove.data import Document  # noqa: E402
from datatrove.pipeline.filters.c4_filters import C4QualityFilter  # noqa: E402
from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter  # noqa: E402
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter  # noqa: E402
from datatrove.pipeline.filters.gopher_repetition_filter import (  # noqa: E402
    GopherRepetitionFilter,
)
from datatrove.utils.text import (  # noqa: E402
    PUNCTUATION_SET,
    split_into_sentences,
    split_into_words,
)

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT.parent / "shared" / "corpus"
RULES = re.sub(r"\s+", " ", (ROOT / "docs" / "rules.md").read_text("utf-8"))
LONGEST = 3_000  # characters of a text; datatrove reads some 0.3 MB a second
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
TOP_LIMITS = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE_LIMITS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
# Switch -> what docs/rules.md says of it.
DIFFERENCES = {
    "gopher": {
        "characters": "not in Gopher",
        "words": "datatrove's own tokenizer counts punctuation as words",
        "symbols": "datatrove: hashes and ellipses each <= 0.1",
        "lines": "datatrove: of all lines of str.splitlines, blank ones too",
        "bullets": "U+2022 and `-` only",
        "ellipses": 'not ". . ."',
        "stop words": "datatrove: distinct ones in lower case",
    },
    "repetition": {
        "words": "datatrove's own tokenizer counts punctuation as words",
        "elements": "Its lines stand between runs of line feeds",
        "occurrences": "datatrove counts from the second occurrence on",
        "shares": "divides by all characters of the text",
        "top": "counts the joining blanks for n = 2..4 and overlapping occurrences twice",
    },
    "c4": {
        "sentences": "all others split by Punkt or spaCy",
        "number of sentences": "datatrove and the paper's prose: 5",
        "words": "datatrove and the paper's prose: 3; datatrove counts words of citations",
        "apostrophes": "datatrove also takes `'`",
        "case": "Phrases are compared in ASCII lower case",
        "lines": "the paper's code and datatrove: also by U+2028 and the like",
    },
    "fineweb": {"words": "datatrove: punctuation counts as words"},
}


def package_texts():
    """Prose, reference and code that every Python and its packages bring along."""
    texts = [topics[name] for name in sorted(topics)]
    library = Path(sysconfig.get_path("stdlib"))
    for name in ("argparse", "email/message", "heapq", "this"):
        source = (library / f"{name}.py").read_text("utf-8")
        texts += [source, *source.split("\n\n\n")]
    for name in ("datatrove", "hypothesis", "numpy", "pyarrow", "pytest", "apache-beam"):
        metadata = importlib.metadata.distribution(name).metadata
        body = metadata.get_payload() or metadata.get("Description") or ""
        texts += [body, *re.split(r"\n(?=#+ |=====|-----)", body)]
    return texts


def benchmark_texts():
    if not BENCHMARK.exists():
        pytest.skip("the benchmark corpus (../shared/corpus) is not here")
    texts = []
    for path in sorted(BENCHMARK.glob("part-*.jsonl.zst")):
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            lines = io.TextIOWrapper(io.BufferedReader(stream), "utf-8")
            texts += [orjson.loads(line)["text"] for line in itertools.islice(lines, 7, None, 149)]
    return texts


@pytest.fixture(scope="module", params=["packages", "benchmark"])
def texts(request):
    found = {"packages": package_texts, "benchmark": benchmark_texts}[request.param]()
    return [text[:LONGEST] for text in found if text.strip()]


@pytest.fixture(scope="module")
def verdicts(make_batch, texts):
    """Our first reason for each text, None where it is kept, by the rules' own SQL."""

    def judge(name, annotator, without=lambda reason: False):
        conditions = [one for one in rule(name).conditions if not without(one.reason)]
        rows = annotator.annotate(make_batch(texts))
        met = query.evaluate([one.to_sql() for one in conditions], {name: rows}, len(texts))
        passed = zip(*(column.to_pylist() for column in met), strict=True)
        reasons = [one.reason.partition(".")[2] for one in conditions]
        return [
            next((reason for reason, kept in zip(reasons, of_text, strict=True) if not kept), None)
            for of_text in passed
        ]

    return judge


def words_of(text, theirs):
    """(what words are compared by, words as they stand); finding ours is tested elsewhere."""
    if "words" in theirs:
        words = split_into_words(text)
        return words, words
    data = text.encode()
    found = find_words(np.frombuffer(data, np.uint8), np.array([0, len(data)]))
    spans = zip(found.starts, found.ends, strict=True)
    return found.hashes.tolist(), [data[start:end].decode() for start, end in spans]


def lines_of(text):
    return [line for line in text.split("\n") if line.strip()]


def paragraphs_of(text):
    blocks = re.split(r"\n(?:[^\S\n]*\n)+", "\n" + text + "\n")
    paragraphs = ["\n".join(lines_of(block)) for block in blocks]
    return [paragraph for paragraph in paragraphs if paragraph]


def gopher(text, theirs):
    """The first reason why Gopher's quality rules remove a text, None where they keep it."""
    _, words = words_of(text, theirs)
    counted = words
    if "words" in theirs:
        counted = [word for word in words if set(word) - PUNCTUATION_SET]
    if "characters" not in theirs and len(text) < 150:
        return "characters"
    if not 50 <= len(counted) <= 100_000:
        return "words"
    if not 3 <= sum(map(len, counted)) / len(counted) <= 10:
        return "mean_word_length"
    hashes = text.count("#") / len(words)
    ellipses = (text.count("...") + text.count("…")) / len(words)
    if "symbols" in theirs:
        too_many = max(hashes, ellipses) > 0.1
    else:
        signs = sum(text.count(sign) for sign in ("#", "...", "…", ". . ."))
        too_many = signs / len(words) > 0.1
    if too_many:
        return "symbols"
    lines = text.splitlines() if "lines" in theirs else lines_of(text)
    bullets = ("•", "-") if "bullets" in theirs else ("•", "-", "*", "●")
    if sum(line.lstrip().startswith(bullets) for line in lines) / len(lines) > 0.9:
        return "bullet_lines"
    endings = ("...", "…") if "ellipses" in theirs else ("...", "…", ". . .")
    if sum(line.rstrip().endswith(endings) for line in lines) / len(lines) > 0.3:
        return "ellipsis_lines"
    if sum(any(map(str.isalpha, word)) for word in words) / len(words) < 0.8:
        return "words_without_letter"
    if "stop words" in theirs:
        found = len(STOP_WORDS & set(words))
    else:
        found = sum(word.lower() in STOP_WORDS for word in words)
    return "stop_words" if found < 2 else None


def share(part, whole):
    return part / whole if whole else 0.0


def repeated(elements, theirs):
    """(elements, characters) that count as repeated."""
    counts = Counter(elements)
    again = [element for element in elements if counts[element] > 1]
    if "occurrences" in theirs:
        for element in set(again):
            again.remove(element)
    return len(again), len("".join(again))


def covered(keys, words, n, chosen):
    places = {
        place
        for start in range(len(keys) - n + 1)
        if tuple(keys[start : start + n]) in chosen
        for place in range(start, start + n)
    }
    return sum(len(words[place]) for place in places)


def from_the_second_on(keys, words, n):
    """Characters of n-grams seen before, each word counted once, first come first."""
    seen, characters, start = set(), 0, 0
    while start < len(keys) - n + 1:
        gram = "".join(map(str, keys[start : start + n]))
        if gram in seen:
            characters += sum(map(len, words[start : start + n]))
            start += n
        else:
            seen.add(gram)
            start += 1
    return characters


def repetition(text, theirs):
    """The first reason why Gopher's repetition rules remove a text, None where they keep it."""
    keys, words = words_of(text, theirs)
    if "elements" in theirs:
        units = {"paragraph": re.split(r"\n{2,}", text.strip()), "line": re.split("\n+", text)}
    else:
        units = {"line": lines_of(text), "paragraph": paragraphs_of(text)}
    failed = {}
    for unit, elements in units.items():
        number, characters = repeated(elements, theirs)
        whole = len(text) if "shares" in theirs else len("".join(elements))
        failed[f"duplicate_{unit}s"] = share(number, len(elements)) > 0.30
        failed[f"duplicate_{unit}_characters"] = share(characters, whole) > 0.20
    whole = len(text) if "shares" in theirs else sum(map(len, words))
    for n, limit in TOP_LIMITS.items():
        grams = [tuple(keys[start : start + n]) for start in range(len(keys) - n + 1)]
        counts = Counter(grams)
        length = 0
        if "top" in theirs:
            if counts:
                gram, count = counts.most_common(1)[0]
                place = grams.index(gram)
                length = len(" ".join(words[place : place + n])) * count
        elif counts and max(counts.values()) > 1:
            of_gram = {gram: grams.index(gram) for gram in counts}
            best = max(
                of_gram,
                key=lambda gram: (
                    counts[gram],
                    sum(map(len, words[of_gram[gram] : of_gram[gram] + n])),
                    -of_gram[gram],
                ),
            )
            length = covered(keys, words, n, {best})
        failed[f"top_{n}gram"] = share(length, whole) > limit
    for n, limit in DUPLICATE_LIMITS.items():
        if "occurrences" in theirs:
            length = from_the_second_on(keys, words, n)
        else:
            counts = Counter(tuple(keys[start : start + n]) for start in range(len(keys) - n + 1))
            length = covered(keys, words, n, {gram for gram in counts if counts[gram] > 1})
        failed[f"duplicate_{n}gram"] = share(length, whole) > limit
    order = failed
    if "elements" not in theirs:  # our order of reasons: shares by number first
        order = ["duplicate_lines", "duplicate_paragraphs", *failed]
    return next((reason for reason in order if failed[reason]), None)


def end_marks(line):
    """Sentences of a line as docs/rules.md has them."""
    count, place = 0, 0
    while match := re.compile(r"[.?!]+[\"')\]]*").search(line, place):
        place = match.end()
        count += place == len(line) or line[place].isspace()
    return max(count, 1)


def c4(text, theirs):
    """The first reason why C4's rules remove a text, None where they keep it."""
    ends = (".", "?", "!", '"', "'") if "apostrophes" in theirs else (".", "?", "!", '"')
    sentences, found = 0, []
    for piece in text.splitlines() if "lines" in theirs else text.split("\n"):
        line = piece.strip()
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        line = CITATION.sub("", line)
        if not line.endswith(ends) or line.endswith("..."):
            continue
        if len(words) < 3 if "words" in theirs else len(line.split()) < 5:
            continue
        lower = line.lower() if "case" in theirs else line.translate(ASCII_LOWER)
        if "lorem ipsum" in lower:
            found.append("lorem_ipsum")
        if "javascript" in lower:
            continue
        if "{" in line:
            found.append("curly_bracket")
        if not any(policy in lower for policy in POLICIES):
            sentences += (
                len(split_into_sentences(line)) if "sentences" in theirs else end_marks(line)
            )
    if sentences < (5 if "number of sentences" in theirs else 3):
        few = ["sentences"]
        found = found + few if "lines" in theirs else few + found
    return found[0] if found else None


TERMINAL = tuple(
    chr(code)
    for item in TERMINAL_PUNCTUATION.split()
    for first, _, last in [item.partition("-")]
    for code in range(int(first, 16), int(last or first, 16) + 1)
)


def fineweb(text, theirs):
    """The first reason why FineWeb's rules remove a text, None where they keep it."""
    lines = lines_of(text)
    if sum(line.endswith(TERMINAL) for line in lines) / len(lines) < 0.12:
        return "terminal_lines"
    if sum(len(line) <= 30 for line in lines) / len(lines) > 0.67:
        return "short_lines"
    counts = Counter(lines)
    again = sum(len(line) * (count - 1) for line, count in counts.items())
    if again / len(text.replace("\n", "")) > 0.01:
        return "duplicate_line_characters"
    if text.count("\n") / max(len(words_of(text, theirs)[1]), 1) > 0.3:
        return "newlines"
    return None


THEIR_REASONS = {
    "gopher": {
        "gopher_short_doc": "words",
        "gopher_long_doc": "words",
        "gopher_below_avg_threshold": "mean_word_length",
        "gopher_above_avg_threshold": "mean_word_length",
        "gopher_too_many_hashes": "symbols",
        "gopher_too_many_ellipsis": "symbols",
        "gopher_too_many_bullets": "bullet_lines",
        "gopher_too_many_end_ellipsis": "ellipsis_lines",
        "gopher_below_alpha_threshold": "words_without_letter",
        "gopher_enough_stop_words": "stop_words",
    },
    "repetition": {
        "dup_para_frac": "duplicate_paragraphs",
        "dup_para_char_frac": "duplicate_paragraph_characters",
        "dup_line_frac": "duplicate_lines",
        "dup_line_char_frac": "duplicate_line_characters",
        **{f"top_{n}_gram": f"top_{n}gram" for n in TOP_LIMITS},
        **{f"duplicated_{n}_n_grams": f"duplicate_{n}gram" for n in DUPLICATE_LIMITS},
    },
    "c4": {"too_few_sentences": "sentences"},
    "fineweb": {
        "line_punct_ratio": "terminal_lines",
        "short_line_ratio": "short_lines",
        "char_dup_ratio": "duplicate_line_characters",
        "list_ratio": "newlines",
    },
}


def of_repetition(reason):
    return reason.startswith(("gopher.duplicate_", "gopher.top_"))


CASES = {
    "gopher": ("gopher", Gopher(), of_repetition, gopher, GopherQualityFilter),
    "repetition": (
        "gopher",
        Gopher(),
        lambda reason: not of_repetition(reason),
        repetition,
        GopherRepetitionFilter,
    ),
    "c4": ("c4", C4(), lambda reason: False, c4, C4QualityFilter),
    "fineweb": ("fineweb", FineWeb(), lambda reason: False, fineweb, FineWebQualityFilter),
}


@pytest.mark.parametrize("case", CASES)
def test_verdicts_differ_from_datatroves_only_as_the_rules_say(case, texts, verdicts):
    name, annotator, without, read, judge = CASES[case]
    switches = DIFFERENCES[case]
    ours = verdicts(name, annotator, without)
    judge = judge()
    explanations = Counter()
    for text, our_reason in zip(texts, ours, strict=True):
        verdict = judge.filter(Document(text=text, id="x"))
        their_reason = None if verdict is True else verdict[1]
        their_reason = THEIR_REASONS[case].get(their_reason, their_reason)
        assert read(text, frozenset()) == our_reason, text
        assert read(text, frozenset(switches)) == their_reason, text
        kept = (our_reason is None, their_reason is None)
        if kept[0] == kept[1]:
            explanations[("same", kept[0])] += 1
            continue
        explanations[
            next(
                chosen
                for size in range(1, len(switches) + 1)
                for chosen in itertools.combinations(switches, size)
                if (read(text, frozenset(chosen)) is None) == kept[1]
            )
        ] += 1
    assert min(explanations[("same", True)], explanations[("same", False)]) >= 3, explanations
    assert len(explanations) > 2, "some texts differ"


@pytest.mark.parametrize("case", CASES)
def test_the_reference_lists_every_difference(case):
    assert [one for one in DIFFERENCES[case].values() if one not in RULES] == []
