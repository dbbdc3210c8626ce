"""About a mix: what it carries beside its tokens, so that people can read it and anybody prove it.

In: the recipe and the manifests of all that the mix was made from. Out, below `about/`: the recipe,
the tokenizer and the index of benchmark n-grams (hashes, no text); the plan that was followed; the
ledger of all documents that came in; plots; and the datasheet that people read, `README.md`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as package_version
from typing import Any

from pipelines.recipes.mix_part import Mix
from pipelines.recipes.recipe import Recipe
from pipelines.reports.datasheet import (
    FUNNEL_PLOT,
    QUALITY_PLOT,
    SHARES_PLOT,
    BenchmarkFacts,
    MixFacts,
    SourceFacts,
    write_datasheet,
)
from pipelines.reports.funnel import Funnel, make_funnel
from pipelines.reports.rearranged import MiddleFacts, RepeatFacts
from transforms import storage
from transforms.datasets import README, Dataset, Manifest, OutputFile, TaskRecord, sum_counts
from transforms.mixing.budget import SourceBudget, divide_tokens
from transforms.mixing.cells import GradedBudget
from transforms.mixing.curriculum import tokens_by_stage
from transforms.mixing.licenses import licenses_of
from transforms.mixing.window import WindowBounds
from transforms.tokens.loading import (
    Description,
    describe_tokenizer,
    file_content,
    file_spec,
    load_tokenizer,
)
from transforms.tokens.specification import TokenizerError, TokenizerSpec
from transforms.tokens.tokenizer import Tokenizer

__all__ = [
    "ABOUT",
    "DESCRIBED",
    "INDEX_FILE",
    "LEDGER_FILE",
    "PLAN_FILE",
    "RECIPE_FILE",
    "TOKENIZER_FILE",
    "AboutTask",
    "describe_mix",
    "stored_tokenizer",
    "write_about",
]

ABOUT = "about"  # task that stores recipe, tokenizer and index beside the tokens
RECIPE_FILE = "about/recipe.json"
TOKENIZER_FILE = "about/tokenizer"
INDEX_FILE = "about/benchmarks.arrow"
PLAN_FILE = "about/plan.json"
LEDGER_FILE = "about/ledger.json"
# What `describe_mix` may give: written when all tasks are done, so no task's record has it.
DESCRIBED = (PLAN_FILE, LEDGER_FILE, SHARES_PLOT, FUNNEL_PLOT, QUALITY_PLOT, README)


@dataclass(frozen=True)
class AboutTask:
    """What is stored beside the tokens."""

    dataset: Dataset
    tokenizer: TokenizerSpec
    fingerprint: str  # of the tokenizer
    memory: str  # see `describe_tokenizer`
    index: tuple[str, str] | None
    recipe: Mapping[str, Any]
    name: str = ABOUT


def write_about(task: AboutTask) -> str:
    """Store the recipe, the tokenizer (as a file, however it was named) and the n-gram index."""
    if storage.exists(task.dataset.record_path(task.name)):
        return task.name
    paths = [RECIPE_FILE, TOKENIZER_FILE]
    storage.write_json(task.dataset.path(RECIPE_FILE), task.recipe)
    stored = task.dataset.path(TOKENIZER_FILE)
    storage.write_bytes(stored, file_content(task.tokenizer))
    spec = replace(file_spec(task.tokenizer), name=stored)
    if describe_tokenizer(spec, task.memory).fingerprint != task.fingerprint:
        raise TokenizerError(
            f"tokenizer {task.tokenizer.name!r} has changed since this run began: run again"
        )
    if task.index:
        storage.write_bytes(task.dataset.path(INDEX_FILE), storage.read_bytes(task.index[0]))
        paths.append(INDEX_FILE)
    files = []
    for path in paths:
        digest, size_bytes = storage.sha256_of(task.dataset.path(path))
        files.append(OutputFile(path, size_bytes, digest))
    task.dataset.write_record(TaskRecord(task.name, files, {}))
    return task.name


def stored_tokenizer(dataset: Dataset, manifest: Manifest) -> Tokenizer:
    """The tokenizer that a mix carries. KeyError and TypeError where the manifest describes none,
    OSError and ValueError where it does not load."""
    spec = dict(manifest.details["tokenizer"]["spec"])
    spec["name"] = dataset.path(TOKENIZER_FILE)  # never one that lies elsewhere
    if not storage.exists(spec["name"]):
        raise FileNotFoundError(f"the mix lacks its {TOKENIZER_FILE}")
    spec["special_tokens"] = tuple((name, number) for name, number in spec["special_tokens"])
    return load_tokenizer(TokenizerSpec(**spec))


def describe_mix(
    recipe: Recipe,
    fingerprint: str,
    described: Description,
    budgets: Mapping[str, SourceBudget],
    windows: Mapping[str, WindowBounds],
    manifests: Mapping[str, Manifest],
    records: Sequence[TaskRecord],
) -> dict[str, bytes]:
    """Content by path of all that tells of a whole mix. `manifests`: of all stages before, by their
    names; `records`: of the mix's own tasks."""
    from pipelines.reports.plots import draw_funnel, draw_quality, draw_shares  # half a second

    funnel = make_funnel([source.name for source in recipe.sources], manifests)
    sources = _sources(recipe, budgets, manifests)
    counts = sum_counts(record.counts for record in records)
    facts = MixFacts(
        name=recipe.name,
        description=recipe.description,
        fingerprint=fingerprint,
        code=package_version("vineleaf"),
        tokenizer=described.fingerprint,
        vocabulary_size=described.vocabulary_size,
        eos=described.eos,
        pad=described.pad,
        order=recipe.mix.order,
        stages=tokens_by_stage(budgets),
        windows={source: (recipe.mix.windows[source], its) for source, its in windows.items()},
        seed=recipe.mix.seed,
        sources=sources,
        files=[file for record in records for file in record.files],
        sequence=recipe.mix.sequence,
        packed={name: its for name, its in counts.items() if name.startswith("packed.")},
        benchmarks=_benchmarks(recipe, manifests),
        middles=_middles(recipe, manifests),
        repeat=_repeat(recipe.mix, budgets),
    )
    graded = {name: one for name, one in budgets.items() if isinstance(one, GradedBudget)}
    shares = {one.name: (one.available_share, one.asked_share, one.share) for one in sources}
    plots = {
        SHARES_PLOT: draw_shares(shares),
        FUNNEL_PLOT: draw_funnel(_remaining(funnel)),
        **({QUALITY_PLOT: draw_quality(graded)} if graded else {}),
    }
    written = {
        PLAN_FILE: _json(_plan(recipe.mix, budgets, windows)),
        LEDGER_FILE: _json(funnel.to_json()),
        **plots,
    }
    sizes = [len(content) for content in written.values()]
    page = write_datasheet(replace(facts, plots=tuple(plots), written=sizes), funnel)
    return {**written, README: page.encode()}


def _sources(
    recipe: Recipe, budgets: Mapping[str, SourceBudget], manifests: Mapping[str, Manifest]
) -> tuple[SourceFacts, ...]:
    """What the mix holds of each of its sources, in the recipe's order."""
    held = {name: manifests[f"selection {name}"].counts or Counter() for name in budgets}
    total = sum(its["tokens"] for its in held.values())
    available = sum(one.available_tokens for one in budgets.values())
    found = []
    for source in recipe.sources:
        if source.name not in budgets:
            continue
        budget, counts = budgets[source.name], held[source.name]
        documents = manifests[f"documents {source.name}"]
        files = documents.parameters["files"]
        found.append(
            SourceFacts(
                name=source.name,
                ingest=source.ingest,
                tokens=counts["tokens"],
                documents=counts["copies"],
                distinct=counts["kept"],
                available_tokens=budget.available_tokens,
                share=counts["tokens"] / total if total else 0.0,
                asked_share=recipe.mix.proportions[source.name],
                available_share=budget.available_tokens / available if available else 0.0,
                epochs=budget.epochs,
                inputs=(len(files), sum(size_bytes for _, size_bytes, _ in files)),
                fingerprint=documents.fingerprint,
                licenses=licenses_of(counts),
                description=source.description,
                homepage=source.homepage,
                license=source.license,
            )
        )
    return tuple(found)


def _benchmarks(recipe: Recipe, manifests: Mapping[str, Manifest]) -> BenchmarkFacts | None:
    asked = recipe.decontamination
    if asked is None:
        return None
    told = manifests["benchmarks"].details
    return BenchmarkFacts(
        fingerprint=told["index"],
        ngram=asked.ngram,
        ngrams=told["ngrams"],
        ignored=len(asked.ignore),
        removes=asked.remove,
        items={
            one["benchmark"]: (one["items"], one["unmatchable_items"]) for one in told["benchmarks"]
        },
    )


def _middles(recipe: Recipe, manifests: Mapping[str, Manifest]) -> MiddleFacts | None:
    asked = recipe.mix.middles
    if asked is None:
        return None
    made = {
        one.name: manifests[f"tokens {one.name}"]
        for one in recipe.sources
        if one.name in asked.sources and one.name in recipe.mix.proportions
    }
    if not made:
        return None
    ids = next(iter(made.values())).parameters["fill_in_middle"]  # the same of all
    return MiddleFacts(
        rate=asked.rate,
        suffix_first=asked.suffix_first,
        split=asked.split,
        prefix=(asked.prefix, ids["prefix"]),
        middle=(asked.middle, ids["middle"]),
        suffix=(asked.suffix, ids["suffix"]),
        documents={
            source: (its.counts.get("fill_in_middle.documents", 0), its.counts.get("kept", 0))
            for source, its in made.items()
        },
    )


def _repeat(mix: Mix, budgets: Mapping[str, SourceBudget]) -> RepeatFacts | None:
    if mix.repeat is None:
        return None
    documents: dict[str, dict[int, tuple[int, int]]] = {}
    for source in mix.proportions:
        budget, its = budgets[source], documents.setdefault(source, {})
        for cell in budget.cells if isinstance(budget, GradedBudget) else ():
            count, tokens = its.get(cell.place.times, (0, 0))
            more = cell.budget
            count, tokens = count + more.available_documents, tokens + more.available_tokens
            its[cell.place.times] = (count, tokens)
    return RepeatFacts(mix.repeat.by, mix.repeat.times, documents)


def _plan(
    mix: Mix, budgets: Mapping[str, SourceBudget], windows: Mapping[str, WindowBounds]
) -> dict[str, Any]:
    """What the recipe asked of each source, what there was, what was taken and how often."""
    asked = divide_tokens(mix.tokens, mix.proportions)
    sources = {
        name: {"asked_tokens": asked[name], **budgets[name].to_json()} for name in sorted(budgets)
    }
    for name, bounds in windows.items():
        sources[name]["window"] = bounds.to_json()
    return {"tokens": mix.tokens, "shortage": mix.shortage, "sources": sources}


def _remaining(funnel: Funnel) -> dict[str, list[tuple[str, int]]]:
    """By source (stage, documents left) from what came in to what is in the mix."""
    left: dict[str, list[tuple[str, int]]] = {}
    for step in funnel.steps:
        its = left.setdefault(step.source, [("input", step.seen)])
        its.append((step.stage, step.kept))
    return left


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
