"""Output and version go together: what a version writes of fixed inputs lies in `outputs/*.json`.

A stage's fingerprint holds the version of its code, so output that changes under the same version
would be mixed with what older code has stored. When a test here fails, raise the version that it
names and record the new output, which the version control then shows as a difference:

    VINELEAF_RECORD_OUTPUTS=1 .venv/bin/python -m pytest tests/golden

Numbers are stored to six digits, long lists and bytes as a digest.
"""

import base64
import copy
import datetime
import difflib
import gzip
import hashlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import struct
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import pipelines
import transforms
from pipelines.annotate import AnnotateTask, annotate_shard
from pipelines.dedup.graphs import build_exact, build_fuzzy
from pipelines.dedup.passage_graphs import build_substring, build_units
from pipelines.dedup.publish_keys import Compared, KeysTask, keys_shard
from pipelines.filter import CONTAMINATED, Judgement, filter_shard
from pipelines.mixing.budgets import find_budgets
from pipelines.mixing.eligible import Choice
from pipelines.mixing.mix import MIX_VERSION
from pipelines.mixing.outputs import bucket_groups
from pipelines.mixing.rescan import rescan_parts
from pipelines.mixing.select import SELECTION_VERSION, select_shard
from pipelines.mixing.shards import BucketTask, MixTask, write_bucket, write_shard, write_shard_run
from pipelines.recipes.mix_part import Mix
from pipelines.recipes.pool_part import Fuzzy
from pipelines.tables import TableTask
from pipelines.tokenize import TOKENS_VERSION, Cuts, tokenize_shard
from pipelines.workspace import Workspace
from transforms import storage
from transforms.annotators import RuleFile
from transforms.datasets import Dataset
from transforms.decontamination import index as index_module
from transforms.decontamination.annotator import Decontaminate
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import INDEX_VERSION, IndexParameters, build_index
from transforms.dedup.exact import EXACT_VERSION, ExactHash
from transforms.dedup.fuzzy import FUZZY_VERSION
from transforms.dedup.minhash import MinHash
from transforms.dedup.pool import PoolShard
from transforms.dedup.published import KEYS_VERSION, keys_path
from transforms.dedup.substring import SUBSTRING_VERSION
from transforms.dedup.units import UNITS_VERSION
from transforms.dedup.url import UrlHash
from transforms.documents import SCHEMA, Document, DocumentBatch, read_batches
from transforms.ingest.code import CodeReader
from transforms.ingest.dolma import DolmaReader
from transforms.ingest.html import HtmlReader
from transforms.ingest.ocr import Ocr
from transforms.ingest.parquet import ParquetReader
from transforms.ingest.pdf import PdfReader
from transforms.ingest.reader import Rejected
from transforms.ingest.warc import WarcReader
from transforms.ingest.writer import WRITER_VERSION, write_documents
from transforms.kernels.unicode import WORDS_VERSION
from transforms.kernels.words import hash_words
from transforms.mixing.curriculum import CURRICULUM_VERSION, Curriculum, CurriculumStage
from transforms.mixing.sequences import Sequencing
from transforms.quality.c4 import C4
from transforms.quality.candidates import CANDIDATES_VERSION
from transforms.quality.classifier import Classifier
from transforms.quality.code import Code
from transforms.quality.conditions import Condition
from transforms.quality.dolma3_lines import Dolma3Lines
from transforms.quality.fineweb import FineWeb
from transforms.quality.gopher import Gopher
from transforms.quality.language import Language
from transforms.quality.madlad import Madlad
from transforms.quality.pdf_quality import PdfQuality
from transforms.quality.pii import Pii
from transforms.quality.rules import rule
from transforms.quality.size import Size
from transforms.quality.url_lists import UrlList, UrlLists
from transforms.stored_lists import StoredList
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import IDENTITY_VERSION, TokenizerSpec

FOLDER = Path(__file__).parent / "outputs"
RECORD = "VINELEAF_RECORD_OUTPUTS"
LONGEST = 24  # items of a list that are stored as they are
MOST_DIFFERENCES = 24  # lines that a failure shows
OPTIONS = PipelineOptions(["--direct_num_workers=1"])


def readable(value):
    """A value as JSON that a person can compare."""
    if isinstance(value, dict):
        return {str(key): readable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        shown = [readable(one) for one in value]
        return shown if len(shown) <= LONGEST else f"{len(shown)} items, {digest_of(shown)}"
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes, {digest_of(bytes(value).hex())}"
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def digest_of(value):
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


def compare(name, version, output, folder=FOLDER):
    """Fail when the output of a version is not the one recorded."""
    path = folder / f"{name}.json"
    seen = {"version": version, "output": readable(output)}
    text = json.dumps(seen, indent=1, ensure_ascii=True) + "\n"
    stored = path.read_text() if path.exists() else ""
    if text == stored:
        return
    recorded = json.loads(stored)["version"] if stored else None
    if recorded == version:
        lines = difflib.unified_diff(stored.splitlines(), text.splitlines(), n=1, lineterm="")
        shown = "\n".join(list(lines)[2 : 2 + MOST_DIFFERENCES])
        pytest.fail(
            f"the output of {name} has changed but its version is still {version}: raise the"
            f" version, then record the new output (see {Path(__file__).name})\n{shown}",
            pytrace=False,
        )
    if not os.environ.get(RECORD):
        pytest.fail(f"no output of version {version} of {name} is recorded: set {RECORD}=1")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


# The documents of the pool

PROSE = (
    "The orchard lies behind the old house, and in the autumn its paths are covered with leaves. "
    "We walked there every morning with the dogs before the others were awake. My grandmother "
    "used to say that no two apples of the same tree taste alike, which I have never believed. "
    "Still, when I sit on the bench below the pear tree, I find myself tasting them one by one."
)
QUESTION = "how many apples does little anna have left at home today"
SECOND = (
    "Nobody has counted the ships that went down in this bay, but the fishermen know where most of "
    "them are, and they will show you the places if you ask on a calm day.\n\n\n\nThe deep wreck "
    "is a steamer from the last century; its boilers stand upright in the sand [12]. Divers come "
    "in summer to look at it, and the harbour master keeps a list of all who went and came back."
)
ADD = '"""Adds."""\nimport os\n\n\ndef add(a, b):\n    # the sum\n    return a + b\n'
DOCUMENTS = [
    ("web", "shouted", f"{PROSE}\n\n{PROSE.upper()}\nAnd that is that.", {}),
    ("web", "prose", PROSE, {}),
    ("web", "near", PROSE.replace("pear", "plum"), {}),
    ("web", "second", SECOND, {}),
    ("web", "leak", f"{SECOND[:320]}\n{QUESTION.title()}? She has none.\nThe end.", {}),
    ("web", "lines", "- one...\n- two\n\n\n\n- two\n- \u2022 three \u2026\n### four ...\n" * 6, {}),
    ("web", "lorem", "Lorem ipsum dolor sit amet [1], for {x}. Javascript is off.\n" * 3, {}),
    (
        "web",
        "german",
        "Der Obstgarten liegt hinter dem alten Haus, und im Herbst ist der Weg zu ihm mit Laub "
        "bedeckt. Wir gingen jeden Morgen mit den Hunden dorthin, bevor die anderen wach waren.",
        {},
    ),
    (
        "web",
        "other scripts",
        "果樹園は古い家の裏にあります。 Яблоки лежат в траве. \U0001f34e\u0301 naïve café ﬁne ①② "
        "\u00a0\u2028end",
        {},
    ),
    ("web", "blank", " \n\t \n", {}),
    ("web", "word", "word", {}),
    ("code", "same prose", PROSE, {}),
    ("code", "python", ADD, {"language": "Python", "path": "add.py"}),
    ("code", "shell", "#!/bin/sh\n# Says hello.\n\n\n\necho hello\n", {"language": "Shell"}),
    ("code", "minified", "var a=1;" * 400, {"minified": True, "path": "dist/a.min.js"}),
    (
        "code",
        "page",
        "<?xml version='1.0'?><html><body><p>Seen</p><!-- hidden --></body></html>",
        {"language": "HTML", "path": "vendor/x.html", "vendored": True},
    ),
]
SOURCES = ("web", "code")
INDEX_ITEMS = [
    Item("GSM8K", "7", "question", QUESTION, True),
    Item("GSM8K", "7", "question+answer", f"{QUESTION} none at all", True),
    Item("Short", "1", "question", "what is the capital city of france", True),
]


class Pool:
    """A pool on its way through the stages, without the workflow."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.shards = []
        self.records = {}
        for source in SOURCES:
            its = [
                Document(f"{source}/{name}", text, None, None, metadata)
                for its_source, name, text, metadata in DOCUMENTS
                if its_source == source
            ]
            dataset = Dataset(f"{self.folder}/documents/{source}", "f")
            aside = Dataset(f"{self.folder}/quarantine/{source}", "f")
            for file in write_documents(dataset, aside, "00000", source, its).files:
                number = len(self.shards)
                self.shards.append(PoolShard(number, source, dataset.path(file.path), file, {}))

    def dataset(self, table, source):
        return Dataset(f"{self.folder}/attributes/{table}/{source}", "f")

    def extend(self, table, make):
        """Make a table of each shard by `make(shard, dataset)`."""
        for shard in self.shards:
            make(shard, self.dataset(table, shard.source))
        self.add(table)

    def add(self, table):
        self.shards = [
            PoolShard(
                shard.number,
                shard.source,
                shard.documents,
                shard.file,
                {**shard.tables, table: self.dataset(table, shard.source).path(shard.file.path)},
            )
            for shard in self.shards
        ]

    def output(self, table):
        """All rows of a table by id, and what its records counted."""
        rows, counts = {}, {}
        for shard in self.shards:
            ids = pq.read_table(shard.documents)["id"].to_pylist()
            its = pq.read_table(shard.tables[table]).to_pylist()
            rows.update(zip(ids, its, strict=True))
            record = self.dataset(table, shard.source).read_record(shard.task)
            counts[shard.source] = record.counts
        return {"rows": rows, "counts": counts}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("index") / "index.arrow")
    with pytest.MonkeyPatch.context() as patch:  # the same on each Python, whose Unicode differs
        patch.setattr(index_module, "_STORED_VERSION", f"{INDEX_VERSION}.{WORDS_VERSION}")
        yield path, _save_index(path)


def _save_index(path):
    built = build_index(INDEX_ITEMS, IndexParameters(ignore=("to be or not to be that is it",)))
    built.save(path)
    return built


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Bytes and a few merges, so that nothing is trained or downloaded."""
    ranks = [bytes([byte]) for byte in range(256)]
    ranks += [b"th", b" a", b" th", b" the", b"in", b"er", b"ap", b"app", b" app", b"\n\n"]
    lines = [f"{base64.b64encode(one).decode()} {rank}" for rank, one in enumerate(ranks)]
    path = tmp_path_factory.mktemp("tokenizer") / "small.tiktoken"
    path.write_text("\n".join(lines))
    return TokenizerSpec(str(path), "cl100k", (("<|endoftext|>", 300),))


@pytest.fixture(scope="module")
def pool(tmp_path_factory, index):
    """The pool with the tables of all annotators."""
    pool = Pool(tmp_path_factory.mktemp("pool"))
    for annotator in annotators(index):
        pool.extend(
            annotator.name,
            lambda shard, dataset, annotator=annotator: annotate_shard(
                AnnotateTask(shard, ((annotator, dataset),))
            ),
        )
    return pool


def tiny_classifier(beside):
    """A fastText model of two values: three words, two labels, eight buckets of subwords and pairs
    of words."""
    words, labels, buckets = ["</s>", "the", "of"], ["__label__prose", "__label__code"], 8
    settings = [2, 5, 5, 1, 5, 2, 3, 3, buckets, 2, 3, 100]  # ..., softmax, supervised, ...
    rows = len(words) + buckets
    entries = b"".join(
        word.encode() + b"\0" + struct.pack("<qb", 5, word in labels) for word in words + labels
    )
    numbers = [((7 * n) % 23 - 11) / 4 for n in range(2 * rows)]
    content = b"".join(
        [
            struct.pack("<ii12id", 793712314, 12, *settings, 1e-4),
            struct.pack("<iiiqq", 5, 3, 2, 25, -1),
            entries,
            struct.pack(f"<bqq{2 * rows}f", 0, rows, 2, *numbers),
            struct.pack("<bqq4f", 0, 2, 2, 3.0, -1.0, -2.0, 4.0),
        ]
    )
    path = f"{beside}.model"
    storage.write_bytes(path, content)
    digest = hashlib.sha256(content).hexdigest()
    return Classifier("classified", RuleFile(path, "tiny.bin", digest), ("code", "prose"))


def annotators(index):
    path, built = index
    return [
        Size(), UrlHash(), ExactHash(), MinHash(bands=3, rows=4), Gopher(), C4(), FineWeb(),
        Language(languages=("de", "en")), Code(), Decontaminate(path, built.fingerprint),
        Pii(), PdfQuality(), Madlad(), Dolma3Lines(), UrlLists(), tiny_classifier(path),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def candidates(pool):
    judgements = {
        "web": Judgement(
            (
                Condition("words", "size.words", at_least=1),
                *rule(
                    "gopher", {"characters": {"at_least": 20}, "words": {"at_least": 12}}
                ).conditions,
                Condition("language", "language.en", at_least=0.5),
                Condition(CONTAMINATED, "contamination.hits", at_most=0),
            ),
            (("0", False), ("gopher.word_count", True)),
            {one: schema_of(pool, one) for one in ("size", "gopher", "language", "contamination")},
        ),
        "code": Judgement(
            (Condition("minified", "code.minified", equals=False),),
            (("1", False), ("gopher.word_count", True)),
            {one: schema_of(pool, one) for one in ("gopher", "code")},
        ),
    }
    pool.extend("candidates", lambda shard, to: filter_shard(TableTask(shard, to), judgements))
    return pool


def schema_of(pool, table):
    return pq.read_schema(pool.shards[0].tables[table]).remove_metadata()


def deduplicate(pool, table, build, ranks=3, **options):
    outputs = {source: pool.dataset(table, source) for source in SOURCES}
    with beam.Pipeline(runner=FnApiRunner(), options=OPTIONS) as pipeline:
        build(pipeline, pool.shards, outputs, f"{pool.folder}/work/{table}", ranks, **options)
    pool.add(table)
    return pool


@pytest.fixture(scope="module")
def exact(candidates):
    return deduplicate(candidates, "exact_duplicates", build_exact)


@pytest.fixture(scope="module")
def fuzzy(exact):
    return deduplicate(exact, "fuzzy_duplicates", build_fuzzy, similarity=0.7, bands=3)


@pytest.fixture(scope="module")
def tokens(fuzzy, tokenizer, index):
    path, built = index
    its = (("gopher", "excess_newlines"), ("c4", "citation_spans"))
    cuts = {source: Cuts(its, (path, built.fingerprint)) for source in SOURCES}
    fuzzy.extend("tokens", lambda shard, to: tokenize_shard(TableTask(shard, to), tokenizer, cuts))
    return fuzzy


@pytest.fixture(scope="module")
def selection(tokens):
    return tokens, select_from(tokens)


def select_from(tokens, curriculum=None):
    """Add the table `selection` to a pool; gives the budgets."""
    schemas = {"size": schema_of(tokens, "size")}
    choice = Choice("size.bytes > 4", 7, schemas)
    mix = Mix(
        tokens=1800,
        tokenizer="small",
        shares={"web": 0.9, "code": 0.1},
        where=choice.where,
        exclude=(),
        max_epochs={"web": 4.0, "code": 4.0},
        seed=choice.seed,
        file_tokens=500,
        outputs=("tokens", "megatron", "mds"),
        curriculum=curriculum,
    )
    workspace = Workspace(tokens.folder)
    budgets = find_budgets(workspace, mix, tokens.shards, choice, OPTIONS)
    tokens.extend(
        "selection", lambda shard, to: select_shard(TableTask(shard, to), choice, budgets)
    )
    return budgets


@pytest.mark.parametrize(
    "name",
    [
        "c4", "classified", "code", "contamination", "dolma3_lines", "exact", "fineweb", "gopher",
        "language", "madlad", "minhash", "pdf_quality", "pii", "size", "url", "url_lists",
    ],
)  # fmt: skip
def test_annotators(pool, index, name):
    (annotator,) = [one for one in annotators(index) if one.name == name]
    output = pool.output(name)
    for identifier, row in output["rows"].items():
        for column, value in row.items():
            if isinstance(value, float):  # which every bound would pass
                assert value == value, f"{column} of {identifier} is no number"
    compare(f"annotator-{name}", annotator.version, output)


def batch_of(texts, metadata=()):
    columns = {name: [""] * len(texts) for name in SCHEMA.names} | {"text": texts}
    columns |= {"added": [None] * len(texts), "created": [None] * len(texts)}
    columns["metadata"] = [json.dumps(one) for one in metadata] or columns["metadata"]
    return DocumentBatch(pa.RecordBatch.from_pydict(columns, SCHEMA))


def test_url_lists(tmp_path):
    lists = {
        "domains": "bad.org\nbücher.example\nwww.only.org",
        "urls": "http://some.org/Page/",
        "words": "casino\nfree money",
        "soft_words": "cam\nlive",
        "subwords": "poker",
    }
    files = []
    for kind, text in lists.items():
        path = tmp_path / kind
        path.write_text(text)
        file = RuleFile(str(path), f"{kind}.txt", storage.content_digest(str(path)))
        files.append(UrlList(kind, file))
    annotator = UrlLists(tuple(files))
    urls = [
        "http://a.bad.org:80/x#y", "https://BÜCHER.example.", "only.org", "//www.some.org/page",
        "http://ok.org/free-money", "http://ok.org/live.cam", "http://ok.org/po-ker", None, "",
    ]  # fmt: skip
    batch = batch_of([""] * len(urls), [{"url": url} for url in urls])
    compare("url-lists", annotator.version, annotator.annotate(batch).to_pylist())


def test_personal_data():
    texts = [
        "Jane (jane.doe+news@mail.example.co.uk, jörg@bücher.example) sits at 10.0.0.1:80.",
        "Call +49 (0)30 / 1234-567 or (206) 555-1234, not 4294967295; 2001:db8::8a2e:370:7334",
        "Version 1.2.3.4.5 of x@y, 12:30:45, std::abc::fed",
    ]
    batch = batch_of(texts)
    compare("personal-data", Pii().version, Pii().annotate(batch).to_pylist())


def test_index(index):
    path, built = index
    output = {
        "fingerprint": built.fingerprint,
        "report": built.report(),
        "ngrams": len(built.lookup.keys),
        "file": storage.read_bytes(path),
    }
    compare("benchmark-index", INDEX_VERSION, output)


def test_candidates(candidates):
    compare("candidates", CANDIDATES_VERSION, candidates.output("candidates"))


def test_exact_duplicates(exact):
    compare("exact-duplicates", EXACT_VERSION, exact.output("exact_duplicates"))


def test_hashes_of_words(pool):
    batches = [DocumentBatch(batch) for one in pool.shards for batch in read_batches(one.documents)]
    annotator = ExactHash("words")
    output = [annotator.annotate(batch).column("text_hash").to_pylist() for batch in batches]
    compare("hashes-of-words", annotator.version, output)


def test_fuzzy_duplicates(fuzzy):
    compare("fuzzy-duplicates", FUZZY_VERSION, fuzzy.output("fuzzy_duplicates"))


def test_keys(fuzzy):
    deduplicate(fuzzy, "repeated_lines", build_units, paragraphs=False, words=2)
    compared = Compared(False, "text", Fuzzy(5, 3, 2, 0.7), {"lines": 2})
    dataset = Dataset(f"{fuzzy.folder}/keys", "f")
    output = {}
    for shard in fuzzy.shards:
        keys_shard(KeysTask(shard, dataset, compared, 3))
        tables = {
            name: pq.read_table(dataset.path(keys_path(name, shard.number))).to_pylist()
            for name in compared.schemas(3)
        }
        counts = dataset.read_record(f"{shard.number:05d}").counts
        output[shard.source] = {"tables": tables, "counts": counts}
    compare("keys", KEYS_VERSION, output)


@pytest.fixture(scope="module")
def everyone(pool):
    """The pool with all documents as candidates, copies too, so that much is repeated."""
    its = copy.copy(pool)
    its.folder = f"{pool.folder}/everyone"
    judgements = {source: Judgement((), (("0", False),), {}) for source in SOURCES}
    its.shards = [
        replace(
            shard,
            tables={name: path for name, path in shard.tables.items() if "_dup" not in name},
        )
        for shard in pool.shards
    ]
    its.extend("candidates", lambda shard, to: filter_shard(TableTask(shard, to), judgements))
    return its


def test_repeated_passages(everyone):
    options = {"ranks": 2, "size": 60, "joined_from": 0.8}
    deduplicate(everyone, "repeated_passages", build_substring, **options)
    compare("repeated-passages", SUBSTRING_VERSION, everyone.output("repeated_passages"))


def test_repeated_lines_and_paragraphs(everyone):
    output = {}
    for table, paragraphs in (("repeated_lines", False), ("repeated_paragraphs", True)):
        deduplicate(everyone, table, build_units, ranks=2, paragraphs=paragraphs, words=2)
        output[table] = everyone.output(table)
    compare("repeated-units", UNITS_VERSION, output)


def test_tokens(tokens):
    compare("tokens", TOKENS_VERSION, tokens.output("tokens"))


def test_selection(selection):
    pool, budgets = selection
    output = {source: budget.to_json() for source, budget in sorted(budgets.items())}
    compare("selection", SELECTION_VERSION, {"budgets": output, **pool.output("selection")})


def test_mix(selection, tokenizer, index, tmp_path):
    pool, _ = selection
    path, built = index
    dataset = Dataset(str(tmp_path), "f")
    common = {
        "dataset": dataset,
        "tokenizer": tokenizer,
        "fingerprint": "",
        "file_tokens": 500,
        "index": (path, built.fingerprint),
        "outputs": ("tokens", "megatron", "mds"),
        "sequence": Sequencing(64, "best_fit", "split"),
    }
    output = {}
    runs = []
    for shard in pool.shards:
        task = MixTask(
            name=shard.source, shard=shard, folder=shard.source, group=f"{shard.number:03d}",
            memory=f"{tmp_path}/parts",
            **common,
        )  # fmt: skip
        rescan_parts(write_shard(task))
        output |= written_by(task)
        runs.append(write_shard_run(replace(task, buckets=(2,), seed=7)))
    runs = StoredList.write(runs, str(tmp_path))
    for number in range(2):
        task = BucketTask(
            name=f"bucket-{number}", number=number, runs=runs, folder="shuffled",
            group=f"{number:05d}", shuffled=True, **common,
        )  # fmt: skip
        rescan_parts(write_bucket(task))
        output |= written_by(task)
    compare("mix", MIX_VERSION, output)


def test_curriculum(tokens, tokenizer, tmp_path):
    pool = copy.copy(tokens)
    pool.folder = str(tmp_path / "pool")
    pool.shards = list(tokens.shards)
    stages = (
        CurriculumStage(0.6, {"web": 0.95, "code": 0.05}),
        CurriculumStage(0.4, {"web": 0.8, "code": 0.2}),
    )
    budgets = select_from(pool, Curriculum(stages))
    output = {source: budget.to_json() for source, budget in sorted(budgets.items())}
    output = {"budgets": output, **pool.output("selection")}
    common = {
        "dataset": Dataset(str(tmp_path / "mix"), "f"),
        "tokenizer": tokenizer,
        "fingerprint": "",
        "file_tokens": 500,
        "index": None,
        "outputs": ("tokens",),
        "sequence": None,
    }
    buckets = (3, 2)
    runs = [
        write_shard_run(
            MixTask(
                name=shard.source, shard=shard, folder="", group="", memory="", buckets=buckets,
                seed=7, **common,
            )
        )
        for shard in pool.shards
    ]  # fmt: skip
    runs = StoredList.write(runs, str(tmp_path))
    for number, group in enumerate(bucket_groups(buckets)):
        task = BucketTask(
            name=f"bucket-{number}", number=number, runs=runs, folder="shuffled", group=group,
            shuffled=True, **common,
        )  # fmt: skip
        rescan_parts(write_bucket(task))
        output |= written_by(task)
    compare("curriculum", [CURRICULUM_VERSION, SELECTION_VERSION, MIX_VERSION], output)


def written_by(task):
    record = task.dataset.read_record(task.name)
    output = {task.name: [record.counts, task.dataset.read_record(task.rescan).counts]}
    for file in record.files:
        content = storage.read_bytes(task.dataset.path(file.path))
        # How well gzip compresses is its library's affair.
        is_gzip = file.path.endswith(".gz")
        output[file.path] = gzip.decompress(content).decode() if is_gzip else content
    return output


# Readers


def zip_of(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 2, 3, 4, 6)), content)
    return buffer.getvalue()


def parquet_of(rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def warc_of(*pages):
    records = []
    for number, (url, page) in enumerate(pages):
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page.encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
            f"WARC-Date: 2024-05-06T07:08:09Z\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\n"
            f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n"
        )
        records.append(head.encode() + b"\r\n" + http + b"\r\n\r\n")
    return b"".join(gzip.compress(record, mtime=0) for record in records)


def pdf_of(*pages):
    """Text in Helvetica, without compression: the same bytes everywhere."""
    objects = [b"<</Type /Catalog /Pages 2 0 R>>", b"",
               b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"]  # fmt: skip
    kids = []
    for lines in pages:
        shown = b" T* ".join(b"(%s) Tj" % line.encode() for line in lines)
        content = b"BT /F 11 Tf 14 TL 60 760 Td %s ET" % shown
        objects.append(b"<</Length %d>> stream\n%s\nendstream" % (len(content), content))
        kids.append(b"%d 0 R" % (len(objects) + 1))
        objects.append(
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources <</Font <</F 3 0 R>>>>>>" % len(objects)
        )
    objects[1] = b"<</Type /Pages /Kids [%s] /Count %d>>" % (b" ".join(kids), len(kids))
    out, places = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, io.SEEK_END)
    for number, one in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj %s endobj\n" % (number, one))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer <</Size %d /Root 1 0 R>>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    return out.getvalue()


PAGE = (
    "<html lang='en'><head><title>Orchard</title></head><body><nav><a href='/'>Home</a></nav>"
    f"<main><h1>An orchard</h1><p>{PROSE}</p><ul><li>apples</li><li>pears</li></ul>"
    "<pre>x = 1\n  y = 2</pre><table><tr><td>a</td><td>b</td></tr></table>"
    "<p>&nbsp;</p><p>Said&nbsp;she.</p></main>"
    "<footer>Imprint</footer></body></html>"
)
DOLMA = [
    '{"id": "d1", "text": "Some text.", "source": "wiki", "created": "2020-01-02T03:04:05Z",'
    ' "added": "2024-01-02", "metadata": {"z": 1, "a": [2]}, "version": "v1"}',
    '{"text": "Without an id."}',
    '{"id": "d3", "text": ""}',
    '{"id": 4, "text": "x"}',
    "{broken",
]
READERS = {
    "html": (
        HtmlReader(),
        {
            "a/page.html": PAGE.encode(),
            "empty.html": b"",
            "page": b"<!DOCTYPE html><p>Named otherwise.",
            "style.css": b"p { color: red }",
        },
    ),
    "warc": (
        WarcReader(),
        {"crawl.warc.gz": warc_of(("http://x.org/a", PAGE), ("http://x.org/b", ""))},
    ),
    "code": (
        CodeReader(),
        {
            "add.py": b"# SPDX-License-Identifier: MIT\n\ndef add(a, b):\n    return a + b\n",
            "notes.xyz": b"what is this",
            "project.zip": zip_of(
                {
                    "project/LICENSE": "MIT License\n\nPermission is hereby granted",
                    "project/src/main.c": "/* Main. */\nint main(void) { return 0; }\n",
                    "project/vendor/jquery.min.js": "var a=1;" * 50,
                    "project/data.py": b"\xff\xfe not text",
                }
            ),
        },
    ),
    "dolma": (DolmaReader(), {"x.jsonl.gz": gzip.compress("\n".join(DOLMA).encode(), mtime=0)}),
    "parquet": (
        ParquetReader(),
        {
            "x.parquet": parquet_of(
                [
                    {"id": "p1", "text": "One.", "url": "http://x.org"},
                    {"id": None, "text": "Two.", "url": None},
                    {"id": "p3", "text": None, "url": None},
                ]
            ),
            "y.parquet": parquet_of([{"id": 4, "text": "Four."}]),
        },
    ),
    "pdf": (
        PdfReader(ocr=Ocr(engine="none")),
        {
            "a.pdf": pdf_of(
                ["Of Orchards", "", PROSE[:91], PROSE[92:165], PROSE[166:242]],
                ["We go on here, on the second page of the same document, with more words.", "2"],
            ),
            "broken.pdf": b"%PDF-1.4\nnothing follows",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(READERS))
def test_readers(name, tmp_path):
    reader, files = READERS[name]
    for path, content in files.items():
        storage.write_bytes(str(tmp_path / path), content)
    events = [
        [type(event).__name__, event._asdict()]
        for event in reader.read(storage.list_files([str(tmp_path)]))
    ]
    for _, fields in events:
        fields.pop("detail", None)  # a library's own words
    compare(f"reader-{name}", reader.version, events)


def test_writer(tmp_path):
    noon = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    large = 5 << 20
    events = [
        Document("a", "One \u00e9.", noon, None, {"z": 1.5, "a": ["\u00e9", None]}),
        Rejected("file:7", "broken", "x" * 600, True),
        Rejected("file:8", "other kind", "", False),
        Document("", "no id", None, None, {}),
        Document("b", "\ud800", None, None, {}),
        Document("c", "x", None, None, {"n": 1 << 64}),
        Document("d", " \n", None, None, {}),
        *(Document(f"text {n}", "x" * large, None, noon, {}) for n in range(2)),
        *(Document(f"metadata {n}", "x", None, None, {"k": "x" * large}) for n in range(2)),
        *(Document(f"small {n}", "x", None, None, {}) for n in range(9_000)),
    ]
    dataset, aside = Dataset(str(tmp_path / "d"), "f"), Dataset(str(tmp_path / "q"), "f")
    record = write_documents(dataset, aside, "00000", "web", events)
    rejects = pq.read_table(aside.path("00000.parquet")).to_pylist()
    for reject in rejects[1:]:
        del reject["detail"]  # a library's own words
    output = {"counts": record.counts, "rejects": rejects}
    for file in record.files:
        parquet = pq.ParquetFile(dataset.path(file.path))
        output[file.path] = {
            "rows": parquet.read().to_pylist(),
            "digest": file.rows_digest,
            "schema": str(parquet.schema_arrow),
            "groups": [
                parquet.metadata.row_group(group).num_rows
                for group in range(parquet.num_row_groups)
            ],
        }
    compare("writer", WRITER_VERSION, output)


def test_words():
    text = "Don't stop_it: caf\u00e9 e\u0301t 日本の 二〇年 so\xadft x\u200by ٣ Ⅷ 1,000"
    compare("words", WORDS_VERSION, [f"{word:016x}" for word in hash_words(text).tolist()])


def test_identity(tokenizer):
    compare("identity", IDENTITY_VERSION, asdict(load_tokenizer(tokenizer).identity))


# That nothing is left out, and that the comparison can fail


def modules(package):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".demo" not in found.name:
            yield importlib.import_module(found.name)


def test_every_annotator_reader_and_version_has_an_output(index):
    constants, classes = set(), set()
    for module in [*modules(transforms), *modules(pipelines)]:
        for name, value in vars(module).items():
            if name.endswith("_VERSION") and isinstance(value, int):
                constants.add(name)
            if inspect.isclass(value) and value.__module__ == module.__name__:
                scores, reads = hasattr(value, "annotate"), hasattr(value, "read")
                if (scores or (reads and hasattr(value, "group"))) and hasattr(value, "version"):
                    classes.add(value.__name__)
    assert constants == {
        "CANDIDATES_VERSION", "CURRICULUM_VERSION", "EXACT_VERSION", "FUZZY_VERSION",
        "IDENTITY_VERSION", "INDEX_VERSION",
        "KEYS_VERSION", "MIX_VERSION", "SELECTION_VERSION", "SUBSTRING_VERSION", "TOKENS_VERSION",
        "UNITS_VERSION", "WORDS_VERSION", "WRITER_VERSION",
    }  # fmt: skip
    covered = {type(one).__name__ for one in annotators(index)}
    covered |= {type(reader).__name__ for reader, _ in READERS.values()}
    assert classes - {"Annotator", "Reader"} == covered


def test_changed_output_under_the_same_version_fails(tmp_path, monkeypatch):
    monkeypatch.setenv(RECORD, "1")
    compare("x", 1, {"rows": [1, 2.0, None]}, tmp_path)
    compare("x", 1, {"rows": [1, 2.0000000001, None]}, tmp_path)
    with pytest.raises(pytest.fail.Exception, match="its version is still 1: raise the version"):
        compare("x", 1, {"rows": [1, 2.1, None]}, tmp_path)
    compare("x", 2, {"rows": [1, 2.1, None]}, tmp_path)
    assert json.loads((tmp_path / "x.json").read_text())["version"] == 2


def test_a_version_that_is_not_recorded_fails(tmp_path, monkeypatch):
    monkeypatch.delenv(RECORD, raising=False)
    with pytest.raises(pytest.fail.Exception, match="no output of version 1 of x is recorded"):
        compare("x", 1, [], tmp_path)


@pytest.mark.parametrize("value", [b"abc", list(range(100)), np.arange(100).tolist()])
def test_digests_tell_values_apart(value):
    changed = value[:-1] + type(value)([value[-1] + 1])
    assert readable(value) != readable(changed)
