"""The workflow before its jobs: what each source is measured by, and what `check` finds."""

from types import SimpleNamespace

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import workflow as workflows
from pipelines.recipes.recipe import RecipeError, load_recipe
from pipelines.scorers import mixing_schemas, scorers
from pipelines.stages import RunFailed
from pipelines.workflow import Workflow
from pipelines.workspace import Workspace

RECIPE = """\
name: two
pool:
  sources:
    a:
      ingest: dolma
      paths: [a]
    b:
      ingest: dolma
      paths: [b]
      rules: RULES
    c: {ingest: dolma, paths: [c], rules: LAST}
mix:
  tokens: 1000
  tokenizer: tok.json
  where: WHERE
  shares: {a: 0.5, b: 0.5}
"""
LINES = {name: RECIPE[: RECIPE.index(name)].count("\n") + 1 for name in ("RULES", "WHERE")}


@pytest.fixture
def workflow(tmp_path):
    """workflow(where, rules of b, rules of c) of a recipe that is called r.yaml."""

    def make(where, rules="[]", last="[]"):
        path = tmp_path / "r.yaml"
        path.write_text(
            RECIPE.replace("WHERE", where).replace("RULES", rules).replace("LAST", last)
        )
        workspace = Workspace(str(tmp_path / "workspace"))
        return Workflow(load_recipe(str(path)), workspace, PipelineOptions([]))

    return make


def measured_by(workflow, source):
    return {one.name: one for one in scorers(workflow.recipe, workflow.recipe.source(source))}


def problems_of(workflow):
    with pytest.raises(RecipeError) as raised:
        workflow.check()
    return [(problem.line, problem.message) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("table", "where", "rules", "last"),
    [
        ("url_lists", "not url_lists.domain", "[{url_lists: {domains: [x]}}]", "[]"),
        ("c4", "c4.sentence_count > 1", "[{c4: {words_per_line: 9}}]", "[c4]"),
        ("language", "language.en > 0.5", "[{language: {keep: [de]}}]", "[language]"),
        ("gopher", "gopher.word_count > 1", "[{gopher: {newlines_kept: 7}}]", "[gopher]"),
        (
            "quality",
            "quality.score > 0.5",
            "[{classifier: {name: quality, model: x.bin}}]",
            "[{classifier: {name: quality, model: y.bin}}]",
        ),
    ],
)
def test_what_where_names_is_measured_as_the_first_rule_has_it(workflow, table, where, rules, last):
    its = workflow(where, rules, last)
    its.check()
    lent = its.recipe.source("b").rules[0].annotators[0]
    assert measured_by(its, "a")[table] == lent
    assert measured_by(its, "b")[table] == lent
    own = [one.annotators[0] for one in its.recipe.source("c").rules]
    assert measured_by(its, "c")[table] == (own or [lent])[0]


def test_what_no_rule_measures_is_measured_with_defaults(workflow):
    its = workflow("c4.sentence_count > 1")
    its.check()
    assert all("c4" in measured_by(its, source) for source in "abc")


def test_where_cannot_name_lists_that_no_rule_has(workflow):
    ((line, message),) = problems_of(workflow("not url_lists.domain"))
    assert line == LINES["WHERE"]
    assert "no attribute 'url_lists.domain'" in message


@pytest.mark.parametrize(
    "name", ["order", "group", "table", "select", "all", "end", "case", "default"]
)
def test_a_classifier_can_be_called_as_a_keyword_of_sql(workflow, name):
    its = workflow(
        f"'\"{name}\".{name} > 0.5'",
        f"[{{classifier: {{name: {name}, model: x.bin, label: {name}, at_least: 0.5}}}}]",
    )
    its.check()


@pytest.mark.parametrize("text", ["budget: task x: QueryError: no int: size.words", "disk full"])
def test_where_that_fails_for_a_document_is_told_with_its_line(workflow, text):
    its = workflow("size.words > 1")
    with pytest.raises((RecipeError, RunFailed)) as raised, its._telling_where():
        raise RunFailed(text)
    if "QueryError" not in text:
        assert str(raised.value) == text
        return
    (problem,) = raised.value.problems
    assert problem.line == LINES["WHERE"]
    assert problem.message == "mix.where fails for a document: no int: size.words"


def test_where_that_fails_for_all_documents_is_told_before_any_work(workflow):
    ((line, message),) = problems_of(workflow("\"size.words > 'abc'\""))
    assert line == LINES["WHERE"]
    assert "Could not convert string 'abc'" in message


def test_conditions_of_rules_are_checked_before_any_work(workflow, monkeypatch):
    its = workflow("size.words > 1", "[gopher]")
    (rule,) = its.recipe.source("b").rules
    monkeypatch.setattr(rule.annotators[0].__class__, "schema", mixing_schemas(its.recipe)["size"])
    assert {line for line, _ in problems_of(its)} == {LINES["RULES"]}


def keeping(workflow, keep, rules):
    its = workflow("size.words > 1", rules, rules)
    path = its.recipe.folder + "/r.yaml"
    with open(path) as file:
        text = file.read().replace("    a:\n", f"    a:\n      rules: {rules}\n")
    with open(path, "w") as file:
        file.write(text.replace("mix:\n", f"  dedup: {{keep: [source order, {keep}]}}\nmix:\n"))
    return Workflow(load_recipe(path), its.workspace, PipelineOptions([]))


@pytest.mark.parametrize("name", ["order", "group", "quality"])
def test_keep_can_name_a_classifier_that_is_called_as_a_keyword_of_sql(workflow, name):
    rules = f"[{{classifier: {{name: {name}, model: x.bin}}}}]"
    keeping(workflow, f"{name} desc", rules).check()
    keeping(workflow, f"{name}.score asc", rules).check()


@pytest.mark.parametrize("name", ["documents.created", "nothing", "documents"])
def test_keep_is_told_with_its_place_and_without_names_that_cannot_be_used(workflow, name):
    with pytest.raises(RecipeError) as raised:
        keeping(workflow, f"{name} desc", "[]").check()
    for problem in raised.value.problems:
        assert problem.key == "pool.dedup.keep.1"
        assert "tables: " in problem.message
        assert "documents" not in problem.message.partition("tables: ")[2].partition(")")[0]


def test_of_published_documents_no_input_is_read_to_bound_their_text(workflow, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("an input is read")

    monkeypatch.setattr(workflows, "most_text_bytes", refuse)

    def job_of(text_bytes):
        manifest = SimpleNamespace(counts={"text_bytes": text_bytes})
        dataset = SimpleNamespace(manifest=lambda: manifest)
        return SimpleNamespace(stages=[SimpleNamespace(dataset=dataset)])

    jobs = [job_of(size) for size in (1, 2, 3)]
    found = workflow("a.b = 1")._bound_texts({}, jobs)
    assert found == {"a": 1, "b": 2, "c": 3}
