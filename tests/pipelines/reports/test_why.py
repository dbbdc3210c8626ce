"""The story of a document, told from hand-made datasets."""

from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.reports.story import Repeated
from pipelines.reports.why import tell_story
from pipelines.workspace import Workspace
from transforms import storage
from transforms.annotators import SPANS
from transforms.attributes import write_table
from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.decontamination.annotator import CONTAMINATION_SCHEMA
from transforms.dedup.exact import EXACT_SCHEMA
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, addresses, rows_digest
from transforms.quality.conditions import Condition

CANDIDATES = pa.schema(
    [("candidate", pa.bool_()), ("reason", pa.string()), ("value", pa.float64())]
)
SELECTION = pa.schema([("eligible", pa.bool_()), ("copies", pa.uint32())])


def publish(folder, name, files, inputs=None, parameters=None, version="f1"):
    manifest = Manifest(name, version, 1, parameters or {}, inputs or {}, files, {}, {}, {}, "0")
    dataset = Dataset(folder, version)
    dataset.publish(manifest)
    return dataset


def write_documents(workspace, source, *shards, origin='{"url": "x"}'):
    """Shards of ids; gives their entries. `origin`: metadata, in which % is the id."""
    files = []
    for number, ids in enumerate(shards):
        digest = rows_digest(ids)
        rows = [
            {
                "id": one,
                "text": f"text of {one}",
                "source": source,
                "metadata": origin.replace("%", one),
            }
            for one in ids
        ]
        schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
        relative = f"{number:05d}.parquet"
        path = Dataset(workspace.documents(source), "f1").path(relative)
        with storage.write_aside(path) as file, pq.ParquetWriter(file, schema) as writer:
            for k in range(0, len(rows), 2):  # two rows a row group
                writer.write_batch(pa.RecordBatch.from_pylist(rows[k : k + 2], schema))
        files.append(OutputFile(relative, 1, "x", len(ids), digest, 10))
    publish(workspace.documents(source), f"documents {source}", files)
    return files


def write_attributes(
    workspace, table, source, files, rows, schema, inputs=None, parameters=None, version="f1"
):
    """`rows`: of all shards, one after another."""
    folder = workspace.attributes(table, source)
    written, first = [], 0
    for file in files:
        its = rows[first : first + file.rows]
        first += file.rows
        groups = [pa.RecordBatch.from_pylist(its[k : k + 2], schema) for k in range(0, len(its), 2)]
        written.append(write_table(Dataset(folder, version), file, schema, groups))
    publish(folder, f"{table} {source}", written, inputs, parameters, version)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "w"))


def good(reason=None, value=None):
    return {"candidate": reason is None, "reason": reason, "value": value}


def copies(number, eligible=True):
    return {"eligible": eligible, "copies": number}


def test_a_document_that_nothing_was_made_of_yet_has_no_reasons(workspace):
    write_documents(workspace, "web", ["a", "b", "c"])
    story = tell_story(workspace, "c")
    assert (story.id, story.source, story.row) == ("c", "web", 2)
    assert story.metadata == {"url": "x"}
    assert story.text_start == "text of c"
    assert (story.reasons, story.copies, story.kept) == ([], {}, False)
    assert "no mix has been made" in story.text()


def test_a_passage_that_stands_earlier_in_the_same_document_is_told_so(workspace):
    write_documents(workspace, "web", ["a"])
    here, there = Repeated("line-dedup", 5, 9, "a"), Repeated("line-dedup", 9, 20, "b")
    text = replace(tell_story(workspace, "a"), repeated=[here, there]).text()
    assert "bytes 5 to 9 (line-dedup): earlier in this document" in text
    assert "bytes 9 to 20 (line-dedup): first in b" in text


def test_an_id_with_odd_characters_is_found_and_cannot_command_the_terminal(workspace):
    odd = "a/b c\x1b[31m\n'\u202e"
    write_documents(workspace, "web", ["x", odd])
    story = tell_story(workspace, odd)
    assert (story.id, story.row) == (odd, 1)
    assert story.text().splitlines()[0] == "a/b c\\x1b[31m\\n'\\u202e of source web"
    assert "\x1b" not in story.text()


def test_an_unknown_id_says_where_else_to_look(workspace):
    write_documents(workspace, "web", ["a"])
    for name in ("nope", ""):
        with pytest.raises(ValueError, match=rf"no document has the id '{name}'") as told:
            tell_story(workspace, name)
        assert "quarantine" not in str(told.value)  # nothing was
    storage.write_bytes(storage.join(workspace.uri, "quarantine", "web", "x"), b"")
    with pytest.raises(ValueError, match=r"no document has the id 'nope'.*quarantine"):
        tell_story(workspace, "nope")


def test_a_document_is_found_by_the_end_of_its_path_or_url(workspace):
    path = '{"path": "guide/say \\"%\\" ü.html"}'
    write_documents(workspace, "web", ["a", "b", "c"], ["d"], origin=path)
    write_documents(workspace, "code", ["e"], origin='{"url": "http://x/%.html", "path": "lib/e"}')
    assert tell_story(workspace, 'say "d" ü.html').id == "d"
    assert tell_story(workspace, "lib/e").id == tell_story(workspace, "x/e.html").id == "e"
    with pytest.raises(ValueError, match=r"4 have a path or URL that ends so: 'a' \(guide/say"):
        tell_story(workspace, " ü.html")
    with pytest.raises(ValueError, match="no document has the id 'guide'"):
        tell_story(workspace, "guide")  # what only stands inside


def test_the_row_is_found_in_whatever_shard_and_row_group_it_lies(workspace):
    files = write_documents(workspace, "web", ["a", "b", "c"], ["d", "e"], [], ["f"])
    schema = pa.schema([("n", pa.int64())])
    write_attributes(workspace, "size", "web", files, [{"n": k} for k in range(6)], schema)
    for number, one in enumerate("abcdef"):
        assert tell_story(workspace, one).scores == {"size": {"n": number}}


SIZE = pa.schema([("words", pa.int64()), ("vendored", pa.bool_()), ("share", pa.float64())])
WORDS = Condition("gopher.words", "size.words", at_least=50, at_most=100)
VENDORED = Condition("code.vendored", "size.vendored", equals=False)
SHARE = Condition("code.comments", "size.share", at_least=0.01, keep_unknown=True)


def judge(workspace, conditions, *rows):
    """Documents a, b ... with these scores, and verdicts (reason, value) on them."""
    ids = [chr(ord("a") + k) for k in range(len(rows))]
    files = write_documents(workspace, "web", ids)
    scores = [dict(zip(SIZE.names, score, strict=True)) for score, _ in rows]
    write_attributes(workspace, "size", "web", files, scores, SIZE)
    parameters = {"conditions": [asdict(one) for one in conditions]}
    verdicts = [good(*verdict) for _, verdict in rows]
    write_attributes(
        workspace, "candidates", "web", files, verdicts, CANDIDATES, parameters=parameters
    )
    return [tell_story(workspace, one) for one in ids]


def test_a_removed_document_tells_its_first_reason_value_unit_and_bounds(workspace):
    removed, kept = judge(
        workspace, [WORDS], ((12, False, 0.5), ("gopher.words", 12.0)), ((60, False, 0.5), ())
    )
    assert removed.to_json()["reasons"] == [
        {
            "stage": "filter",
            "reason": "gopher.words",
            "value": 12.0,
            "wanted": "at least 50 and at most 100",
            "unit": "words",
            "mix": None,
            "message": "removed by filter: gopher.words is 12 (words), must be at least 50 and at"
            " most 100",
        }
    ]
    assert removed.text().splitlines()[1] == "  not kept: filter, gopher.words"
    assert kept.reasons == []


def test_rules_are_told_in_the_order_asked_with_what_each_saw(workspace):
    (story,) = judge(
        workspace, [VENDORED, WORDS, SHARE], ((12, True, None), ("code.vendored", None))
    )
    assert [(one.reason, one.value, one.passes) for one in story.rules] == [
        ("code.vendored", True, False), ("gopher.words", 12, False), ("code.comments", None, True)
    ]  # fmt: skip
    lines = story.text().splitlines()
    at = lines.index("rules (filter), in the order asked; the first that it does not pass"
                     " removes it")  # fmt: skip
    assert lines[at + 1 : at + 4] == [
        "   1 REMOVES IT code.vendored is true (copied from another project), must be false",
        "   2 fails too  gopher.words is 12 (words), must be at least 50 and at most 100",
        "   3 passes     code.comments is not known (share of characters in comments, where the"
        " language is known), which passes; must be at least 0.01",
    ]
    assert lines[-1] == (
        "removed by filter: code.vendored is true (copied from another project), must be false"
    )
    assert story.to_json()["rules"][1] == {
        "reason": "gopher.words", "value": 12, "unit": "words",
        "wanted": "at least 50 and at most 100", "passes": False,
    }  # fmt: skip


def test_a_rule_whose_scores_were_made_anew_is_left_out_and_the_verdict_stays(workspace):
    gone = Condition("gopher.symbols", "gopher.symbol_word_ratio", at_most=0.1)
    (story,) = judge(workspace, [gone, WORDS], ((60, False, 0.5), ("gopher.symbols", 0.4)))
    assert [one.reason for one in story.rules] == ["gopher.words"]
    assert story.reasons[0].message == "removed by filter: gopher.symbols"


def test_what_was_cut_is_told_in_characters_with_its_beginning(workspace):
    files = write_documents(workspace, "web", ["\u00e4", "b"])  # text of \u00e4: 10 bytes
    spans = pa.schema([("lines", SPANS), ("none", SPANS)])
    rows = [{"lines": [{"start": 0, "end": 4}, {"start": 8, "end": 10}], "none": []}]
    write_attributes(workspace, "c4", "web", files, [*rows, {"lines": [], "none": []}], spans)
    tokens = pa.schema([("cut_bytes", pa.int64()), ("reason", pa.string())])
    cut = [{"cut_bytes": 6, "reason": None}, {"cut_bytes": 0, "reason": None}]
    parameters = {"cuts": [["c4", "lines"], ["c4", "none"]]}
    write_attributes(workspace, "tokens", "web", files, cut, tokens, parameters=parameters)
    story = tell_story(workspace, "\u00e4")
    assert story.to_json()["cuts"] == [
        {"column": "c4.lines", "spans": 2, "characters": 5, "begins": "text"}
    ]
    assert "  c4.lines: 5 characters in 2 spans, the first begins: 'text'" in story.text()
    assert tell_story(workspace, "b").cuts == ()


def test_copies_are_told_per_mix_and_why_there_are_none(workspace):
    files = write_documents(workspace, "web", ["a", "b", "c"])
    one = [copies(2), copies(0), copies(0, eligible=False)]
    mixes = {"one": (one, 9), "two": ([copies(1)] * 3, 9), "no": ([copies(0)] * 3, 0)}
    for mix, (rows, wanted) in mixes.items():
        parameters = {"where": "size.words > 3", "wanted_tokens": wanted}
        write_attributes(
            workspace, f"selection-{mix}", "web", files, rows, SELECTION, parameters=parameters
        )
    assert tell_story(workspace, "a").copies == {"no": 0, "one": 2, "two": 1}
    assert tell_story(workspace, "a").to_json()["copies"] == 3
    assert tell_story(workspace, "b", "two").copies == {"two": 1}
    left = tell_story(workspace, "b", "one")
    assert (left.kept, left.copies) == (False, {"one": 0})
    assert "not drawn" in left.reasons[0].message
    told = tell_story(workspace, "c", "one").reasons[0]
    assert (told.stage, told.reason, told.mix) == ("select", "where", "one")
    assert "does not meet size.words > 3" in told.message
    assert tell_story(workspace, "c", "no").reasons[0].reason == "not in this mix"
    with pytest.raises(ValueError, match=r"no mix 'three' .* mixes: no, one, two"):
        tell_story(workspace, "a", "three")


def test_a_mix_is_told_in_the_versions_that_it_was_made_from(workspace):
    files = write_documents(workspace, "web", ["a", "b"])
    score = pa.schema([("n", pa.int64())])
    tokens = pa.schema([("reason", pa.string())])

    def run(version, mix, verdict, copied):
        """A recipe with rules of its own; the later run is what the workspace shows."""
        rows = [good(*verdict), good()]
        write_attributes(workspace, "candidates", "web", files, rows, CANDIDATES, version=version)
        write_attributes(
            workspace, "tokens", "web", files, [{"reason": None}] * 2, tokens,
            inputs={"documents web": "f1", "candidates web": version}, version=version,
        )  # fmt: skip
        write_attributes(
            workspace, f"selection-{mix}", "web", files, [copies(copied), copies(1)], SELECTION,
            inputs={"documents web": "f1", "tokens web": version}, parameters={"wanted_tokens": 9},
        )  # fmt: skip

    run("v1", "base", (), 1)
    run("v2", "strict", ("gopher.words", 12.0), 0)
    write_attributes(workspace, "size", "web", files, [{"n": 7}] * 2, score)
    base, strict = tell_story(workspace, "a", "base"), tell_story(workspace, "a", "strict")
    assert (base.kept, base.reasons, base.superseded) == (True, [], ())
    assert (strict.kept, [one.reason for one in strict.reasons]) == (False, ["gopher.words"])
    assert base.scores == {"size": {"n": 7}}
    both = tell_story(workspace, "a")
    assert both.superseded == ("base",)
    assert "mix base was made from other scores and verdicts" in both.text()


def test_what_a_mix_of_another_pool_left_out_is_not_laid_on_its_where(workspace):
    """Rules of that run removed the document; those that are told here are the last run's."""
    files = write_documents(workspace, "web", ["a"])
    write_attributes(workspace, "candidates", "web", files, [good()], CANDIDATES, version="v2")
    write_attributes(
        workspace, "selection-strict", "web", files, [copies(0, eligible=False)], SELECTION,
        inputs={"candidates web": "v1"}, parameters={"wanted_tokens": 9, "where": "size.words > 3"},
    )  # fmt: skip
    (told,) = tell_story(workspace, "a").reasons
    assert (told.stage, told.reason, told.mix) == ("select", "another pool", "strict")
    assert "size.words" not in told.message


def test_a_document_of_two_sources_is_told_for_the_mix_that_is_asked_for(workspace):
    for source, mix in (("code", "first"), ("web", "second")):
        files = write_documents(workspace, source, ["a"])
        write_attributes(
            workspace, f"selection-{mix}", source, files, [copies(1)], SELECTION,
            parameters={"wanted_tokens": 9},
        )  # fmt: skip
    story = tell_story(workspace, "a")
    assert (story.source, story.other_sources) == ("code", ("web",))
    assert "source web has this document as well" in story.text()
    for mix, source in (("first", "code"), ("second", "web")):
        story = tell_story(workspace, "a", mix)
        assert (story.source, story.kept) == (source, True)


def test_a_survivor_of_a_pool_that_is_gone_is_not_guessed(workspace):
    files = write_documents(workspace, "b", ["a", "b"])
    rows = [duplicate(1, 2), duplicate(None, 2)]
    inputs = {"documents b": "f1", "documents a": "gone"}
    write_attributes(workspace, "exact_duplicates", "b", files, rows, EXACT_SCHEMA, inputs)
    with pytest.raises(ValueError, match=r"a/.*gone.* is gone: .* no survivor"):
        tell_story(workspace, "a")


def duplicate(address, size):
    return {
        "duplicate_of": address,
        "similarity": None if address is None else 1.0,
        "cluster_size": size,
    }


def test_a_duplicate_names_its_survivor_across_sources(workspace):
    # By the order of paths web-2 comes before web, by that of names after it.
    web = write_documents(workspace, "web", ["w0", "w1"], ["w2"])
    two = write_documents(workspace, "web-2", ["x0", "x1"])
    inputs = {"documents web": "f1", "documents web-2": "f1", "candidates web": "f1"}
    survivor = int(addresses(1, 1)[0])  # web's second shard: w2
    for source, files, rows in (
        ("web", web, [duplicate(None, 1), duplicate(None, 1), duplicate(None, 2)]),
        ("web-2", two, [duplicate(None, 1), duplicate(survivor, 2)]),
    ):
        write_attributes(workspace, "exact_duplicates", source, files, rows, EXACT_SCHEMA, inputs)
    story = tell_story(workspace, "x1")
    assert (story.duplicate_of, story.similarity, story.cluster_size) == ("w2", 1.0, 2)
    assert story.reasons[0].stage == "exact-dedup"
    assert "duplicate of w2, similarity 1.000, one of 2 documents alike" in story.text()
    assert "one of 2 documents alike: the one that is kept" in tell_story(workspace, "w2").text()
    assert tell_story(workspace, "w2").cluster_size == 2


def test_sources_of_other_recipes_in_the_workspace_do_not_shift_addresses(workspace):
    files = write_documents(workspace, "web", ["w0", "w1"])
    rows = [duplicate(None, 2), duplicate(int(addresses(0, 1)[0]), 2)]
    inputs = {"documents web": "f1"}
    write_attributes(workspace, "exact_duplicates", "web", files, rows, EXACT_SCHEMA, inputs)
    write_documents(workspace, "archive", ["a0", "a1"])
    assert tell_story(workspace, "w1").duplicate_of == "w0"


def test_a_table_of_other_rows_is_not_believed(workspace):
    files = write_documents(workspace, "web", ["a", "b"])
    rows = [good("old", 1.0), good("old", 1.0)]
    write_attributes(workspace, "candidates", "web", files, rows, CANDIDATES)
    write_documents(workspace, "web", ["b", "a"])
    assert tell_story(workspace, "a").reasons == []


def test_contamination_names_item_field_and_place(workspace):
    files = write_documents(workspace, "web", ["a"])
    match = {
        "benchmark": "GSM8K", "item": "7", "field": "question", "start": 3, "end": 40, "words": 9
    }  # fmt: skip
    row = {"hits": 2, "items": 1, "matches": [match], "passages": [], "words_left": 5}
    write_attributes(workspace, "contamination", "web", files, [row], CONTAMINATION_SCHEMA)
    story = tell_story(workspace, "a")
    (found,) = story.to_json()["contamination"]
    assert match.items() <= found.items()
    assert "GSM8K 7 (question): 9 words at bytes 3 to 40, which begin: 't of a'" in story.text()


def test_scores_count_spans_and_leave_hashes_out(workspace):
    files = write_documents(workspace, "web", ["a"])
    schema = pa.schema([("spans", SPANS), ("hash", pa.binary(4)), ("score", pa.float64())])
    row = {"spans": [{"start": 0, "end": 1}] * 3, "hash": b"1234", "score": 0.25}
    write_attributes(workspace, "gopher", "web", files, [row], schema)
    assert tell_story(workspace, "a").scores == {"gopher": {"spans": 3, "score": 0.25}}
