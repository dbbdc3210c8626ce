"""Verify: a mix of a few documents passes, and each way of tampering with it is found by name."""

import base64
import gzip
import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.command_line import CommandError
from pipelines.reports.funnel import Funnel, FunnelStep
from pipelines.stages import Stage
from pipelines.verification.verify import verify_mix
from transforms import storage
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import IndexParameters, build_index
from transforms.mixing.identity import document_digests, hash_tokens, sum_digests
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.parts import FILE_TOKENS, PartsWriter, close_documents
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.token_files import TokenPart

# Of no time: parameters' ids must be the same in every process.
compress = partial(gzip.compress, mtime=0)

QUESTION = "how many apples does little anna have left at home today"
TEXTS = {
    "web": ["The first page of the web.", "A second page, much longer than the first one was."],
    "code": ["def add(a, b):\n    return a + b\n"],
}
EOS = 300
NEXT_TOKENS = 7  # of the first document that is not in the mix
ABOUT = ("about/tokenizer", "about/benchmarks.arrow", "about/recipe.json")
TOLD = ("about/plan.json", "about/ledger.json", "README.md")


def write_tokenizer(folder):
    ranks = [bytes([byte]) for byte in range(256)] + [b"th", b" the", b"\xc3\xa4"]
    lines = [f"{base64.b64encode(one).decode()} {rank}" for rank, one in enumerate(ranks)]
    storage.write_bytes(f"{folder}/about/tokenizer", "\n".join(lines).encode())
    return TokenizerSpec(f"{folder}/about/tokenizer", "cl100k", (("<|endoftext|>", EOS),))


def write_source(base, source, tokenizer, texts):
    """Token files of a source; gives their entries and what they count."""
    tokens, bounds = tokenizer.encode(pa.array(texts, pa.large_string()))
    ids = [f"{source}{k}" for k in range(len(texts))]
    rows = pa.RecordBatch.from_pydict(
        {"id": ids, "path": ["shard"] * len(texts), "line": range(1, len(texts) + 1)}
    )
    opened = partial(TokenPart, base)
    with PartsWriter(opened, f"tokens/{source}", "000", FILE_TOKENS) as writer:
        writer.write(close_documents(tokens, bounds, EOS, rows))
    counts = {
        "tokens": len(tokens) + len(texts),
        "documents": len(texts),
        "files": 1,
        "wanted_tokens": len(tokens) + len(texts),
    }
    digests = document_digests(pa.array(ids), hash_tokens(tokens, bounds[:-1], bounds[1:]))
    digest = f"{sum_digests(digests, np.ones(len(ids), np.uint32)):016x}"
    selected = {
        **counts, "next_document_tokens": NEXT_TOKENS, "most_tokens": 0, "digest": digest,
    }  # fmt: skip
    return writer.files, counts, selected


def make_mix(folder, texts=TEXTS, shares=None, **details):
    """A published mix; gives its folder."""
    dataset = Dataset(str(folder), "f1")
    spec = write_tokenizer(dataset.base)
    tokenizer = load_tokenizer(spec)
    index = build_index([Item("GSM8K", "1", "question", QUESTION, True)], IndexParameters())
    index.save(dataset.path("about/benchmarks.arrow"))
    files, sources, selected = [], {}, {}
    for source, its in texts.items():
        written, sources[source], selected[source] = write_source(
            dataset.base, source, tokenizer, its
        )
        files += written
    total = sum(one["wanted_tokens"] for one in sources.values())
    shares = shares or {name: one["wanted_tokens"] / total for name, one in sources.items()}
    pool = {"sources": {}} if details else {"sources": {}, "decontaminate": {"benchmarks": []}}
    recipe = {"pool": pool, "mix": {"tokens": total, "tokenizer": "x", "shares": shares}}
    storage.write_json(dataset.path("about/recipe.json"), recipe)
    planned = {
        source: {**its, "taken_tokens": its["tokens"], "taken_documents": its["documents"]}
        for source, its in selected.items()
    }
    storage.write_json(dataset.path("about/plan.json"), {"sources": planned})
    steps = [
        FunnelStep(source, "select", 9, its["documents"], None, its["tokens"],
                   {"not drawn": 9 - its["documents"]}, {})
        for source, its in selected.items()
    ]  # fmt: skip
    storage.write_json(dataset.path("about/ledger.json"), Funnel(tuple(steps)).to_json())
    storage.write_bytes(dataset.path("README.md"), b"# A mix, by [a plan](about/plan.json)\n")
    for path in (*ABOUT, *TOLD):
        digest, size_bytes = storage.sha256_of(dataset.path(path))
        files.append(OutputFile(path, size_bytes, digest))
    its_details = {
        "sources": sources,
        "shares": shares,
        "tokenizer": {
            "spec": {**asdict(spec), "name": "about/tokenizer"},
            "fingerprint": tokenizer.identity.fingerprint,
            "vocabulary_size": tokenizer.identity.vocabulary_size,
            "eos": EOS,
            "pad": tokenizer.identity.pad,
        },
        "benchmarks": {"file": "about/benchmarks.arrow", "fingerprint": index.fingerprint},
        **details,
    }
    stored = its_details["benchmarks"]
    parameters = {
        "recipe": recipe,
        "tokenizer": tokenizer.identity.fingerprint,
        "index": stored["fingerprint"] if stored else None,
        "selected": selected,
    }
    fingerprint = Stage("mix", "", 1, parameters, {}, ()).fingerprint
    Path(dataset.base).rename(Path(folder) / fingerprint)
    manifest = Manifest("mix", fingerprint, 1, parameters, {}, files, {}, {}, {}, "0", its_details)
    Dataset(str(folder), fingerprint).publish(manifest)
    return folder


def base_of(mix):
    """The folder of the version that is published."""
    return Path(Dataset.published(str(mix))[0].base)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_mix(tmp_path_factory.mktemp("good") / "mix")


@pytest.fixture
def mix(good, tmp_path):
    """A copy to tamper with: all that is needed lies in the mix's own folder."""
    shutil.copytree(good, tmp_path / "copy")
    return tmp_path / "copy"


def failed(mix, index=None):
    checks = verify_mix(str(mix), index)
    assert all(check.name and check.to_json()["ok"] == check.ok for check in checks)
    return [check.name for check in checks if not check.ok]


def seal(mix):
    """Rewrite the manifest's hashes after tampering, as somebody who covers it up would."""
    dataset, manifest = Dataset.published(str(mix))
    files = []
    for file in manifest.files:
        digest, size_bytes = storage.sha256_of(dataset.path(file.path))
        files.append(replace(file, sha256=digest, size_bytes=size_bytes))
    dataset.publish(replace(manifest, files=files))


def tokens_of(mix, source="web"):
    return base_of(mix) / "tokens" / source / "part-000-00000.npy"


def change_tokens(mix, change, source="web"):
    path = tokens_of(mix, source)
    tokens = np.fromfile(path, "<u4")
    np.asarray(change(tokens), "<u4").tofile(path)


def change_bounds(mix, change, source="web"):
    path = tokens_of(mix, source).with_suffix(".csv.gz")
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(compress("".join(f"{row}\n" for row in change(rows)).encode(), mtime=0))


def put(place, token):
    def change(tokens):
        tokens[place] = token
        return tokens

    return change


def test_an_untouched_mix_passes_wherever_it_is_copied_to(good, mix):
    assert failed(good) == []
    assert failed(mix) == []
    checks = {check.name: check for check in verify_mix(str(mix))}
    assert checks["files with the right hash"].seen == 10
    assert checks["documents per source"].seen == {"code": 1, "web": 2}


def test_no_mix_is_told_with_what_to_name(tmp_path, mix):
    with pytest.raises(CommandError, match=r"no published mix at .* name the folder that holds"):
        verify_mix(str(tmp_path / "none"))
    workspace = tmp_path / "workspace"
    shutil.copytree(mix, workspace / "mixes" / "one")
    with pytest.raises(CommandError, match=f"name a mix of that workspace, {workspace}/mixes/one"):
        verify_mix(str(workspace))


def test_one_changed_token_is_found_by_the_hash(mix):
    change_tokens(mix, put(3, 65))
    assert "hash of tokens/web/part-000-00000.npy" in failed(mix)


@pytest.mark.parametrize(
    "path", ["tokens/web/part-000-00000.npy", "tokens/code/part-000-00000.csv.gz"]
)
def test_a_missing_file_is_found(mix, path):
    (base_of(mix) / path).unlink()
    assert f"hash of {path}" in failed(mix)


def test_a_file_too_many_is_found(mix):
    shutil.copy(tokens_of(mix), tokens_of(mix).with_name("part-999-00000.npy"))
    assert failed(mix) == ["files that the manifest does not list"]


@pytest.mark.parametrize("path", ["more/x.npy", "tokens/web/_aside/x.npy", "about/x", "x.txt"])
def test_a_file_too_many_is_found_anywhere(mix, path):
    (base_of(mix) / path).parent.mkdir(exist_ok=True)
    (base_of(mix) / path).write_bytes(b"1234")
    assert failed(mix) == ["files that the manifest does not list"]


@pytest.mark.parametrize("path", ["x.txt", "tokens/part.npy"])
def test_a_file_beside_the_version_is_found(mix, path):
    (mix / path).parent.mkdir(exist_ok=True)
    (mix / path).write_bytes(b"1234")
    assert failed(mix) == ["files that the manifest does not list"]


@pytest.mark.parametrize("path", ["../x.npy", "tokens/../../x.npy", "/tmp/x.npy", "file:///x.npy"])
def test_a_path_that_leaves_the_mix_is_found_and_not_read(mix, path):
    dataset, manifest = Dataset.published(str(mix))
    dataset.publish(replace(manifest, files=[*manifest.files, OutputFile(path, 4, "0")]))
    assert failed(mix) == ["files lie in the mix's folder"]


def test_a_file_listed_twice_is_found(mix):
    dataset, manifest = Dataset.published(str(mix))
    dataset.publish(replace(manifest, files=[*manifest.files, manifest.files[0]]))
    assert "files that the manifest lists twice" in failed(mix)


@pytest.mark.parametrize("content", ["[]", "{}", "1", "[{}]", '{"files": 1}', "nonsense"])
def test_a_damaged_manifest_is_a_failed_check(mix, content):
    (mix / "manifest.json").write_text(content)
    assert failed(mix) == ["manifest.json is a manifest"]


@pytest.mark.parametrize("content", [None, "nonsense", "{}"])
def test_a_damaged_manifest_of_the_version_is_a_failed_check(mix, content):
    own = base_of(mix) / "manifest.json"
    own.unlink()
    if content:
        own.write_text(content)
    (name,) = failed(mix)
    assert name.endswith("manifest.json is the one that readers see")


def test_a_manifest_in_which_a_path_is_a_number_is_a_failed_check(mix):
    value = json.loads((mix / "manifest.json").read_text())
    value["files"][0]["path"] = 5
    (mix / "manifest.json").write_text(json.dumps(value))
    assert failed(mix) == ["manifest.json is a manifest"]


@pytest.mark.parametrize("content", [b"no gzip", b"", compress(b"1,2,3\n"), b"\x1f\x8b\x08"])
def test_bounds_that_cannot_be_read_are_a_failed_check(mix, content):
    tokens_of(mix).with_suffix(".csv.gz").write_bytes(content)
    seal(mix)
    found = failed(mix)
    assert {"documents per source", "documents are those selected"} <= set(found)


@pytest.mark.parametrize("path", ABOUT)
@pytest.mark.parametrize("content", [None, b"nothing of the kind"])
def test_what_does_not_load_is_a_failed_check(mix, path, content):
    (base_of(mix) / path).unlink()
    if content is not None:
        (base_of(mix) / path).write_bytes(content)
    found = failed(mix)
    assert f"hash of {path}" in found
    assert any(name.endswith("load") for name in found)


# What is covered up: hashes are right, the content is not.


def test_documents_whose_tokens_are_swapped_are_found(mix):
    def swap(tokens):
        ends = np.flatnonzero(tokens == EOS) + 1
        return np.concatenate([tokens[ends[0] :], tokens[: ends[0]]])

    def swap_bounds(rows):
        split = [row.split(",") for row in rows]
        length = int(split[1][1]) - int(split[0][1])
        split[0][:2], split[1][:2] = ["0", str(length)], [str(length), split[1][1]]
        return [",".join(row) for row in split]

    change_tokens(mix, swap)
    change_bounds(mix, swap_bounds)
    seal(mix)
    assert failed(mix) == ["documents are those selected"]


def test_two_tokens_that_are_swapped_in_a_document_are_found(mix):
    def swap(tokens):
        tokens[[0, 1]] = tokens[[1, 0]]
        return tokens

    change_tokens(mix, swap)
    seal(mix)
    assert failed(mix) == ["documents are those selected"]


def test_another_id_is_found(mix):
    change_bounds(mix, lambda rows: [rows[0].replace("web0", "web7"), rows[1]])
    seal(mix)
    assert failed(mix) == ["documents are those selected"]


def test_a_document_in_the_place_of_another_is_found(mix):
    change_tokens(mix, lambda tokens: np.tile(tokens[: np.flatnonzero(tokens == EOS)[0] + 1], 2))
    change_bounds(mix, lambda rows: [rows[0], rows[0]])
    seal(mix)
    assert "documents are those selected" in failed(mix)


def test_an_end_of_text_inside_a_document_is_found(mix):
    change_tokens(mix, put(2, EOS))
    seal(mix)
    assert "EOS inside documents" in failed(mix)


def test_a_document_that_does_not_close_is_found(mix):
    change_tokens(mix, put(-1, 65))
    seal(mix)
    assert "documents that do not close with EOS" in failed(mix)


def test_a_token_outside_the_vocabulary_is_found(mix):
    change_tokens(mix, put(0, 5000))
    seal(mix)
    assert "tokens outside the vocabulary" in failed(mix)


def test_tokens_that_are_gone_are_found(mix):
    change_tokens(mix, lambda tokens: tokens[:-1])
    seal(mix)
    assert {"tokens per source", "documents that leave their file or overlap"} <= set(failed(mix))


def test_tokens_in_no_document_are_found(mix):
    change_bounds(mix, lambda rows: rows[:1])
    seal(mix)
    found = failed(mix)
    assert {"documents per source", "tokens in no document"} <= set(found)


def test_documents_that_overlap_are_found(mix):
    change_bounds(mix, lambda rows: [rows[0], "3" + rows[1][rows[1].index(",") :]])
    seal(mix)
    assert "documents that leave their file or overlap" in failed(mix)


def test_bytes_that_are_no_text_are_found(mix):
    change_tokens(mix, put(1, 0xFF))
    seal(mix)
    assert "documents that decode to no valid UTF-8" in failed(mix)


@pytest.mark.parametrize("source", ["web", "code"])
def test_a_benchmark_sentence_is_found_in_the_decoded_tokens(tmp_path, source):
    texts = {**TEXTS, source: [*TEXTS[source], f"He asked:\n{QUESTION.upper()}? I said none."]}
    mix = make_mix(tmp_path / "leaked", texts)
    checks = {check.name: check for check in verify_mix(str(mix))}
    scan = checks["benchmark n-grams in the decoded tokens"]
    assert (scan.ok, scan.seen, scan.wanted) == (False, 4, 0)
    assert failed(mix) == [scan.name]


def test_benchmarks_given_anew_are_the_ones_scanned_for(mix):
    text = TEXTS["web"][1]
    anew = build_index([Item("Own", "1", "text", text, True)], IndexParameters())
    assert failed(mix, anew) == ["benchmark n-grams in the decoded tokens"]


def test_shares_other_than_the_recipes_are_found(tmp_path):
    texts = {"web": ["a b c d e f"] * 40, "code": ["x y z"] * 40}
    assert failed(make_mix(tmp_path / "right", texts)) == []
    wrong = make_mix(tmp_path / "wrong", texts, shares={"web": 0.2, "code": 0.8})
    assert failed(wrong) == ["share of code", "share of web"]


def test_a_source_that_holds_one_token_more_than_asked_is_found(tmp_path):
    texts = {"web": ["a b c d e f"] * 40, "code": ["x y z"] * 40}
    tokens = {"web": 40 * 12, "code": 40 * 6}
    shares = {"web": (tokens["web"] - 1) / 720, "code": (tokens["code"] + 1) / 720}
    assert failed(make_mix(tmp_path / "mix", texts, shares=shares)) == ["share of web"]


@pytest.mark.parametrize(("missing", "ok"), [(0, True), (6, True), (7, False), (-1, False)])
def test_less_than_the_next_document_may_be_missing(tmp_path, missing, ok):
    texts = {"web": ["a b c d e f"] * 40, "code": ["x y z"] * 40}
    shares = {"web": (40 * 12 + missing) / 720, "code": (40 * 6 - missing) / 720}
    mix = make_mix(tmp_path / "mix", texts, shares=shares)
    assert ("share of web" not in failed(mix)) == ok


@pytest.mark.parametrize("name", ["wanted_tokens", "next_document_tokens"])
def test_no_detail_of_the_manifest_makes_a_dropped_file_pass(mix, name):
    for path in (tokens_of(mix), tokens_of(mix).with_suffix(".csv.gz")):
        path.unlink()
    dataset, manifest = Dataset.published(str(mix))
    files = [file for file in manifest.files if not file.path.startswith("tokens/web/")]
    web = {"tokens": 0, "documents": 0, "files": 0, "wanted_tokens": 0, name: 10**9}
    details = {**manifest.details, "sources": {**manifest.details["sources"], "web": web}}
    dataset.publish(replace(manifest, files=files, details=details))
    assert {
        "counts in the manifest are those selected",
        "documents are those selected",
        "documents per source",
        "share of web",
        "tokens per source",
    } <= set(failed(mix))


def test_parameters_are_covered_by_the_fingerprint(mix):
    dataset, manifest = Dataset.published(str(mix))
    selected = {**manifest.parameters["selected"]}
    selected["web"] = {**selected["web"], "next_document_tokens": 10**9}
    dataset.publish(replace(manifest, parameters={**manifest.parameters, "selected": selected}))
    assert failed(mix) == ["fingerprint of the manifest", "plan ends in what is in the mix"]


def test_the_page_that_people_see_leads_into_the_version(mix):
    page = (mix / "README.md").read_text()
    assert page == f"# A mix, by [a plan]({base_of(mix).name}/about/plan.json)\n"
    assert (mix / page.partition("(")[2].partition(")")[0]).exists()


@pytest.mark.parametrize("content", [None, b"# Another mix\n"])
def test_another_page_than_the_versions_is_found(mix, content):
    (mix / "README.md").unlink()
    if content:
        (mix / "README.md").write_bytes(content)
    assert failed(mix) == ["README.md is the one of this version"]


@pytest.mark.parametrize("path", TOLD)
def test_a_mix_without_what_it_must_carry_is_found(mix, path):
    (base_of(mix) / path).unlink()
    dataset, manifest = Dataset.published(str(mix))
    files = [file for file in manifest.files if file.path != path]
    dataset.publish(replace(manifest, files=files))
    assert failed(mix) == ["plan, ledger and datasheet are there"]


def change_json(mix, path, change):
    value = storage.read_json(str(base_of(mix) / path))
    change(value)
    storage.write_json(str(base_of(mix) / path), value)
    seal(mix)


@pytest.mark.parametrize("key", ["taken_tokens", "taken_documents", "wanted_tokens", "most_tokens"])
def test_a_plan_that_ends_in_another_mix_is_found(mix, key):
    def change(plan):
        plan["sources"]["web"][key] += 1

    change_json(mix, "about/plan.json", change)
    assert failed(mix) == ["plan ends in what is in the mix"]


def test_a_ledger_that_loses_a_document_is_found(mix):
    def change(ledger):
        ledger["steps"][0]["removed"]["not drawn"] -= 1

    change_json(mix, "about/ledger.json", change)
    assert failed(mix) == ["ledger balances at every joint"]


def test_a_ledger_of_another_mix_is_found(mix):
    def change(ledger):
        ledger["steps"][0]["tokens"] += 1

    change_json(mix, "about/ledger.json", change)
    assert failed(mix) == ["ledger ends in the tokens of the mix"]


@pytest.mark.parametrize("content", [[], {}, {"sources": 1, "steps": 2}, {"steps": [{"x": 1}]}])
@pytest.mark.parametrize("path", TOLD[:2])
def test_a_plan_or_ledger_that_is_none_is_found(mix, path, content):
    storage.write_json(str(base_of(mix) / path), content)
    seal(mix)
    (name,) = failed(mix)
    assert name.startswith(("plan ends", "ledger balances"))


def test_another_tokenizer_than_the_one_named_is_found(mix):
    dataset, manifest = Dataset.published(str(mix))
    told = {**manifest.details["tokenizer"], "fingerprint": "another"}
    dataset.publish(replace(manifest, details={**manifest.details, "tokenizer": told}))
    assert failed(mix) == ["tokenizer is the one named"]


def test_a_mix_without_benchmarks_says_that_it_was_not_scanned(tmp_path):
    mix = make_mix(tmp_path / "mix", benchmarks=None)
    checks = {check.name: check for check in verify_mix(str(mix))}
    assert failed(mix) == []
    assert "benchmark n-grams: the recipe names no benchmark" in checks
