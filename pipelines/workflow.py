"""The workflow: a recipe's jobs in their order, each made from the manifests of those before it.

ingest, benchmarks -> annotate -> filter -> exact-dedup -> fuzzy-dedup -> substring-, line-,
paragraph-dedup -> keys -> tokenize -> select -> mix

A job is made only when its inputs are published, so a stage's fingerprint holds those of all that
it comes from. `run` runs what is not up to date; `plan` stops at the first job that would have to
run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from expectations.suites import check_suites
from pipelines.annotate import annotate_job
from pipelines.benchmarks import INDEX_FILE, benchmark_job
from pipelines.dedup.against import find_published
from pipelines.dedup.jobs import exact_job, fuzzy_job, repeats_job
from pipelines.dedup.publish_keys import keys_job
from pipelines.filter import Judgement, filter_job, source_conditions
from pipelines.ingest import ingest_job, make_reader
from pipelines.inputs import InputFile, InputOptions, NoInput, find_inputs
from pipelines.mixing.bounds import bound_texts, check_bounds
from pipelines.mixing.budgets import find_budgets
from pipelines.mixing.eligible import Choice
from pipelines.mixing.mix import mix_job
from pipelines.mixing.select import select_job, select_stages
from pipelines.mixing.windows import NoScore, find_windows
from pipelines.planning.text_bounds import most_text_bytes
from pipelines.planning.work_estimates import ToDo
from pipelines.recipes.pool_part import REPEATS, Source
from pipelines.recipes.recipe import Recipe, RecipeError
from pipelines.recipes.rule_files import find_rule_files
from pipelines.recipes.sentinels import find_middles
from pipelines.recipes.sql import WHERE, check_sql, mix_expressions, mix_schemas
from pipelines.reports.funnel import Funnel, make_funnel
from pipelines.runners.beam_options import choose_carrier
from pipelines.scorers import (
    grades,
    keep_criteria,
    mix_expressions_of,
    mixing_schemas,
    scorers,
    source_schemas,
)
from pipelines.scratch import remove_left
from pipelines.stage_names import (
    BENCHMARKS,
    EXACT_DEDUP,
    FUZZY_DEDUP,
    INGEST,
    KEYS,
    SELECT,
    STAGES,
    TABLES,
    TOKENIZE,
    URL_DEDUP,
    split_name,
    stage_of,
)
from pipelines.stage_states import StageState
from pipelines.stages import Job, Missing, RunFailed, Stage, run_job
from pipelines.tables import with_tables
from pipelines.tokenize import Cuts, tokenize_job
from pipelines.workspace import Workspace
from transforms import storage
from transforms.annotators import Annotator
from transforms.datasets import Dataset, Manifest, TaskRecord
from transforms.decontamination.annotator import NAME as CONTAMINATION
from transforms.decontamination.annotator import Decontaminate
from transforms.dedup.pool import PoolShard
from transforms.dedup.published import Published, published_shards
from transforms.mixing.budget import (
    SourceBudget,
)
from transforms.mixing.cells import budget_from_json
from transforms.mixing.window import WindowBounds
from transforms.query import QueryError, tables_named
from transforms.tokens.fill_in_middle import FillInMiddle
from transforms.tokens.loading import Description, describe_tokenizer, load_tokenizer
from transforms.tokens.specification import TokenizerSpec

__all__ = ["Workflow"]

SIGNATURES = ("exact", "minhash", "url")  # tables of what is compared; no rule judges by them
Shards = Sequence[PoolShard]
T = TypeVar("T")
Step = Generator[Job, None, T]


@dataclass
class Workflow:
    """One recipe in one workspace. `states` and `manifests` grow as jobs are done. `watch` is
    around the work of each job (`run_job`), `phase` around what takes long between them."""

    recipe: Recipe
    workspace: Workspace
    options: PipelineOptions
    watch: Callable[[Job, Missing], AbstractContextManager[None]] = lambda job, todo: nullcontext()
    phase: Callable[[str], AbstractContextManager[None]] = lambda title: nullcontext()
    observe: Callable[[Stage, TaskRecord], None] = lambda stage, record: None  # of finished tasks
    tell: Callable[[str], None] = lambda sentence: None  # what a user should know before the work
    reuse_tokens: bool = False  # share what an earlier mix of the workspace holds already
    manifests: dict[str, Manifest] = field(default_factory=dict)  # by stage name
    states: list[StageState] = field(default_factory=list)
    budgets: dict[str, SourceBudget] = field(default_factory=dict)  # by source
    windows: dict[str, WindowBounds] = field(default_factory=dict)  # by source
    exchanges: list[dict[str, Any]] = field(default_factory=list)  # that `plan` found
    input_bytes: dict[str, int] = field(default_factory=dict)  # of files, by source
    tokenizer: str = ""  # its fingerprint, once it is loaded
    scored: Shards | None = None  # the pool with all that annotate made, where that is up to date
    published: tuple[Published, ...] = ()  # earlier runs, once they are found
    _loaded: Recipe | None = None
    _datasets: dict[str, Dataset] = field(default_factory=dict)  # by stage name

    def run(self) -> Manifest:
        """Bring everything up to date; gives the manifest of the mix.

        A stored file that turns out damaged when it is read is deleted and made anew, once each.
        """
        remove_left(self.workspace)
        done: set[str] = set()  # stages, also of turns that failed later
        mended: set[str] = set()
        while True:
            try:
                return self._run_jobs(done)
            except RunFailed as error:
                damaged = self._damaged(str(error)) - mended
                if not damaged:
                    self._check_published(str(error))
                    raise
            for path in sorted(damaged):
                self.tell(f"{path} was cut or changed since it was written: it is made anew.")
            storage.delete(sorted(damaged))
            mended |= damaged
            for known in (
                self.manifests, self.states, self.budgets, self.windows, self._datasets
            ):  # fmt: skip
                known.clear()

    def _run_jobs(self, done: set[str]) -> Manifest:
        for job in self._jobs():
            self._datasets.update({stage.name: stage.dataset for stage in job.stages})
            with self._telling_where():
                result = run_job(job, self.options, self.observe, self.watch)
            self.manifests.update(result.manifests)
            done |= {stage.name for stage in job.stages} - result.up_to_date
            for stage in job.stages:
                self._note(stage.name, "done" if stage.name in done else "up to date")
        return self.manifests["mix"]

    def _damaged(self, error: str) -> set[str]:
        """The published files that an error names and that do not hold what was published."""
        return {
            path
            for name, manifest in self.manifests.items()
            for path in self._datasets[name].lost(manifest.files, error)
        }

    def _check_published(self, error: str) -> None:
        """RunFailed where an error is about published keys that are not as they were made."""
        for run in self.published:
            for path in run.dataset.lost(run.manifest.files, error)[:1]:
                message = f"{path} was cut or changed since it was published: get the keys at"
                raise RunFailed(f"{message} {run.uri} again, then run this again")

    def plan(self) -> None:
        """Look at what is up to date, and at the budget where the pool is known."""
        remove_left(self.workspace)
        reached = set()
        for job in self._jobs():
            reached.add(job.title.split(" ")[0])
            self._look_at(job)
            for stage in job.stages:
                there = stage.name in self.manifests
                self._note(stage.name, "up to date" if there else "to do")
            self.exchanges += [
                {
                    "stage": job.title,
                    "exchange": name,
                    "most_bytes": planned.most_bytes,
                    "carrier": choose_carrier(self.options, planned),
                }
                for name, planned in job.exchanges.items()
            ]
        for stage_name in STAGES:
            if stage_name not in reached and self._wants(stage_name):
                made = TABLES.get(stage_name)
                self.states.append(StageState(stage_name, None, made, "to do", {}))

    def find_tables(self) -> None:
        """Look at which of the pool's tables are up to date, and at nothing behind them."""
        for job in self._pool_jobs():
            self._look_at(job)

    def _look_at(self, job: Job) -> None:
        for stage in job.stages:
            manifest = stage.dataset.manifest()
            if manifest is not None:
                self.manifests[stage.name] = manifest

    def todo(self) -> list[ToDo]:
        """What `plan` found to be done, with the bytes of text that it reads as far as known."""
        found = []
        for state in self.states:
            if state.state != "to do":
                continue
            sources = [state.source] if state.source else self._sources
            for source in sources:
                kind = self.recipe.source(source).ingest
                size = self._text_bytes_before(state.stage, source)
                found.append(ToDo(state.stage, state.table or "", source, size, kind))
        return found

    def _text_bytes_before(self, stage: str, source: str) -> int | None:
        """Bytes of a source's text that a stage reads, by the last one before it that tells."""
        if stage in (INGEST, BENCHMARKS):
            return self.input_bytes.get(source) if stage == INGEST else 0
        known = self.input_bytes.get(source)
        for name in STAGES[: STAGES.index(stage)]:
            manifest = self.manifests.get(f"{TABLES.get(name, name)} {source}")
            counter = "text_bytes" if name == INGEST else "kept_text_bytes"
            if manifest is not None and counter in manifest.counts:
                known = manifest.counts[counter]
        return known

    def _note(self, stage: str, state: str) -> None:
        manifest = self.manifests.get(stage)
        counts = manifest.counts if manifest else {}
        table, source = split_name(stage)
        if source in [run.source for run in self.published]:
            return  # a table that only counts on for the next step
        self.states.append(StageState(stage_of(table), source or None, table, state, counts))

    def _wants(self, stage: str) -> bool:
        return {
            BENCHMARKS: self.recipe.decontamination is not None,
            URL_DEDUP: self.recipe.urls,
            EXACT_DEDUP: self.recipe.exact is not None,
            FUZZY_DEDUP: self.recipe.fuzzy is not None,
            KEYS: self.recipe.keys,
            **dict.fromkeys(REPEATS.values(), False),
            **{repeats.stage: True for repeats in self.recipe.repeats},
        }.get(stage, True)

    def _jobs(self) -> Iterator[Job]:
        """The jobs in order, each with the bounds that its gate applies.

        Whoever iterates puts a job's manifests into `manifests` before going on; where one is
        lacking the jobs that need it are not made and the iteration ends.
        """
        for job in self._unbounded_jobs():
            yield replace(job, bounds=dict(self.recipe.gates))

    def _unbounded_jobs(self) -> Iterator[Job]:
        """As `_jobs`."""
        tokenizer, described, shards = yield from self._pool_jobs()
        if shards is not None:
            yield from self._mix(shards, tokenizer, described)

    def _pool_jobs(self) -> Step[tuple[TokenizerSpec, Description, Shards | None]]:
        """The jobs before the mix's. Each step gives the pool's shards with the tables that it
        made, None where the next one cannot be made."""
        self.check()
        self.published = find_published(self.recipe, self.workspace)
        tokenizer = self.recipe.tokenizer(self.workspace.uri)
        described, shards = yield from self._ingest(tokenizer)
        if shards is not None:
            shards = yield from self._score(shards)
        if shards is not None:
            shards = yield from self._deduplicate(shards)
        if shards is not None:
            shards = yield from self._tokenize(shards, tokenizer, described)
        return tokenizer, described, shards

    def _ingest(self, tokenizer: TokenizerSpec) -> Step[tuple[Description, Shards | None]]:
        """Sources and benchmarks, after all that can be refused before any work."""
        missing = self.recipe.missing_files(self.workspace.uri)
        if missing:
            raise RecipeError(missing)
        with self.phase(f"{INGEST}: finding and hashing input files"):
            # From the recipe as it was loaded, also in a second turn after a file was mended: names
            # of found files are part of what is made.
            self._loaded = self._loaded or self.recipe
            self.recipe = find_rule_files(self._loaded, self.workspace)
            recipe, workspace = self.recipe, self.workspace
            inputs = {source.name: self._find_inputs(source) for source in recipe.sources}
            for name, its in inputs.items():
                self.input_bytes[name] = sum(one.file.size_bytes for one in its)
            jobs = [
                ingest_job(workspace, source, make_reader(source), inputs[source.name], recipe.tree)
                for source in recipe.sources
            ]
            bounds = self._bound_texts(inputs, jobs)
        check_bounds(recipe.mix, bounds, "its input")
        with self.phase(f"{TOKENIZE}: loading the tokenizer"):
            # One that cannot be had is told before any work.
            described = describe_tokenizer(tokenizer, workspace.tokenizers)
            self.tokenizer = described.fingerprint
            self._middles(tokenizer)
        if described.notice:
            self.tell(f"Tokenizer {tokenizer.name}: {described.notice}.")
        if recipe.decontamination:
            with self.phase(f"{BENCHMARKS}: reading their files"):
                jobs.append(benchmark_job(recipe, workspace))
        yield from jobs
        lacks_benchmarks = recipe.decontamination and "benchmarks" not in self.manifests
        if lacks_benchmarks or not self._have("documents"):
            return described, None
        self._check_kept("documents", "text_bytes", "what was read of its input")
        return described, self._shards()

    def _bound_texts(
        self, inputs: Mapping[str, Sequence[InputFile]], jobs: Sequence[Job]
    ) -> dict[str, int]:
        """Bytes of text that each source holds at most: of documents that are published what was
        counted, so no file is decompressed for it."""
        counted: dict[str, int] = {}
        for source, job in zip(self.recipe.sources, jobs, strict=True):
            manifest = job.stages[0].dataset.manifest()
            if manifest is not None:
                counted[source.name] = manifest.counts.get("text_bytes", 0)

        def bound(name: str, enough: int) -> int:
            if name in counted:
                return counted[name]
            return most_text_bytes(self.recipe.source(name).ingest, inputs[name], enough)

        return bound_texts(self.recipe.mix, self._sources, bound)

    def _score(self, shards: Shards) -> Step[Shards | None]:
        """All annotators in one read, then the rules' verdicts."""
        recipe, workspace, tree = self.recipe, self.workspace, self.recipe.tree
        annotators = {source.name: self._annotators(source) for source in recipe.sources}
        yield annotate_job(workspace, tree, self._documents, shards, annotators)
        tables = {
            source: [one.name for one in its if f"{one.name} {source}" in self.manifests]
            for source, its in annotators.items()
        }
        if any(len(tables[source]) < len(its) for source, its in annotators.items()):
            return None
        for table in sorted({name for its in tables.values() for name in its}):
            shards = self._extend(shards, table)
        self.scored = shards
        judgements = {source.name: self._judgement(source) for source in recipe.sources}
        scored = {
            source: self._inputs(source, *(name for name in its if name not in SIGNATURES))
            for source, its in tables.items()
        }
        yield filter_job(workspace, tree, self._documents, shards, judgements, scored)
        if not self._have("candidates"):
            return None
        self._check_kept("candidates", "kept_text_bytes", "what its rules kept")
        return self._extend(shards, "candidates")

    def _deduplicate(self, shards: Shards) -> Step[Shards | None]:
        recipe, workspace, tree = self.recipe, self.workspace, self.recipe.tree
        shards, ranks = self._with_published(shards)
        everyone = {**self._documents, **{one.source: one.documents for one in self.published}}
        removal = "candidates"  # the last table that removes documents
        for stage, hashed in ((URL_DEDUP, "url"), (EXACT_DEDUP, "exact")):
            if self._wants(stage):
                pool = self._pool(removal, hashed)
                job = exact_job(workspace, tree, everyone, shards, ranks, stage, pool)
                yield self._told(job)
                removal = TABLES[stage]
                if not self._have(removal):
                    return None
                self._check_kept(removal, "kept_text_bytes", "what is no duplicate")
                shards = self._extend(shards, removal)
        if recipe.fuzzy:
            pool = self._pool("exact_duplicates", "minhash")
            job = fuzzy_job(workspace, tree, self._documents, shards, ranks, recipe.fuzzy, pool)
            yield self._told(job)
            if not self._have("fuzzy_duplicates"):
                return None
            self._check_kept("fuzzy_duplicates", "kept_text_bytes", "what is no duplicate")
            shards = self._extend(shards, "fuzzy_duplicates")
        pool = self._pool(self._last_removal)
        for repeats in recipe.repeats:
            table = TABLES[repeats.stage]
            job = repeats_job(workspace, tree, self._documents, shards, ranks, repeats, pool)
            yield self._told(job)
            if not self._have(table):
                return None
            self._check_kept(table, "kept_text_bytes", "what does not stand there twice")
            shards = self._extend(shards, table)
        shards = [shard for shard in shards if not shard.is_published]
        if recipe.keys:
            made = [table for table in ("url", "exact", "minhash") if self._have(table)]
            tables = [TABLES[repeats.stage] for repeats in recipe.repeats]
            pool = self._pool(*made, self._last_removal, *tables)
            yield keys_job(workspace, recipe, shards, self.published, pool)
        return shards

    def _with_published(self, shards: Shards) -> tuple[Shards, int]:
        """The pool, and the shards of earlier runs behind it; rank columns that all need: places
        in `keep`, the id and, where there are earlier runs, the run."""
        ranks = len(self.recipe.keep) + 1
        if not self.published:
            return shards, ranks
        runs = self.published
        own = [replace(shard, place=len(runs)) for shard in shards]
        widest = max([ranks, *(run.ranks for run in runs)])
        return [*own, *published_shards(runs, len(own))], 1 + widest

    def _told(self, job: Job) -> Job:
        """A job of deduplication whose manifests tell where its published documents are."""
        if not self.published:
            return job
        told = [
            {"recipe": run.name, "keys": run.uri, "shards": len(run.shards)}
            for run in self.published
        ]
        return replace(job, details=lambda stage, records: {"published": told})

    @property
    def _last_removal(self) -> str:
        """The table of the last stage that removes documents from the pool."""
        if self.recipe.fuzzy:
            return "fuzzy_duplicates"
        if self.recipe.exact:
            return "exact_duplicates"
        return "url_duplicates" if self.recipe.urls else "candidates"

    def _tokenize(
        self, shards: Shards, tokenizer: TokenizerSpec, described: Description
    ) -> Step[Shards | None]:
        cuts = {source.name: self._cuts(source) for source in self.recipe.sources}
        inputs = {
            source: self._inputs(
                source, self._last_removal, *(table for table, _ in cuts[source].columns)
            )
            for source in self._sources
        }
        yield tokenize_job(
            self.workspace,
            self.recipe.tree,
            self._documents,
            shards,
            tokenizer,
            described.fingerprint,
            cuts,
            inputs,
            self._middles(tokenizer),
        )
        return self._extend(shards, "tokens") if self._have("tokens") else None

    def _middles(self, tokenizer: TokenizerSpec) -> dict[str, FillInMiddle]:
        """What is rearranged to be filled in, by source; see `find_middles`."""
        if self.recipe.mix.middles is None:
            return {}
        return find_middles(self.recipe, load_tokenizer(tokenizer))

    def _mix(self, shards: Shards, tokenizer: TokenizerSpec, described: Description) -> Step[None]:
        """The choice of documents by the budget, then the mix."""
        recipe, workspace = self.recipe, self.workspace
        schemas = mixing_schemas(recipe)
        for place in mix_expressions(recipe):
            schemas = schemas | mix_schemas(recipe, place)
        windows = {
            source: one
            for source, one in recipe.mix.windows.items()
            if source in recipe.mix.proportions
        }
        choice = Choice(recipe.mix.where, recipe.mix.seed, schemas, grades(recipe), windows)
        named = {
            source: tables_named(mix_expressions_of(recipe, source)) for source in self._sources
        }
        chosen_from = {
            source: self._inputs(source, *sorted({"tokens", *named[source]}))
            for source in self._sources
        }
        stages = select_stages(
            workspace, recipe.name, recipe.mix, choice, self._documents, shards, chosen_from
        )
        manifests = [stage.dataset.manifest() for stage in stages.values()]
        if all(manifest is not None for manifest in manifests):
            self.budgets = {
                source: budget_from_json(manifest.details["budget"])
                for source, manifest in zip(stages, manifests, strict=True)
                if manifest is not None and "budget" in manifest.details
            }
            self.windows = {
                source: WindowBounds.from_json(manifest.details["window"])
                for source, manifest in zip(stages, manifests, strict=True)
                if manifest is not None and "window" in manifest.details
            }
        else:
            with self.phase(f"{SELECT}: counting the pool's tokens"), self._telling_where():
                self.windows = self._find_windows(shards, choice)
                choice = replace(choice, bounds=self.windows)
                self.budgets = find_budgets(workspace, recipe.mix, shards, choice, self.options)
        yield select_job(recipe.tree, self._documents, shards, stages, choice, self.budgets)
        if not self._have("selection"):
            return
        shards = self._extend(shards, "selection", f"selection-{recipe.name}")
        self.check_ledger()
        index = (self._index_path, self._index_fingerprint) if recipe.decontamination else None
        pool = self._pool("selection")
        yield mix_job(
            workspace, recipe, tokenizer, described, shards, pool, index, self.budgets,
            self.windows, self.manifests, self.reuse_tokens,
        )  # fmt: skip

    def _find_windows(self, shards: Shards, choice: Choice) -> dict[str, WindowBounds]:
        """RecipeError where a window's score says nothing of any document."""
        try:
            return find_windows(self.workspace, shards, choice, self.options)
        except NoScore as error:
            window = self.recipe.mix.windows[error.source]
            message = (
                f"mix.window.{error.source}: '{window.score}' is null or NaN for all"
                f" {error.documents:,} documents that could be mixed, so none would be left: name a"
                " score that they have, or leave the window out"
            )
            place = ("mix", "window", error.source, "score")
            raise RecipeError([self.recipe.problem(place, message)]) from None

    @property
    def funnel(self) -> Funnel:
        """What each stage that is known kept and removed."""
        return make_funnel(self._sources, self.manifests)

    def check_ledger(self) -> None:
        """RunFailed when documents were lost or appeared between two stages."""
        imbalances = self.funnel.imbalances()
        if imbalances:
            raise RunFailed("the ledger does not balance: " + "; ".join(imbalances))

    @property
    def _sources(self) -> list[str]:
        return [source.name for source in self.recipe.sources]

    def _have(self, table: str) -> bool:
        sources = [*self._sources, *(self._published_sources(table))]
        return all(f"{table} {source}" in self.manifests for source in sources)

    def _published_sources(self, table: str) -> list[str]:
        """Sources of earlier runs that have a table of their own in this pool."""
        in_pool = table in (TABLES[URL_DEDUP], TABLES[EXACT_DEDUP])
        return [run.source for run in self.published if in_pool]

    def _inputs(self, source: str, *tables: str) -> dict[str, str]:
        names = [f"{table} {source}" for table in ("documents", *tables)]
        return {name: self.manifests[name].fingerprint for name in names}

    def _pool(self, *tables: str) -> dict[str, str]:
        """Fingerprints of the tables of all sources: what the pool is made of."""
        return {
            name: fingerprint
            for source in self._sources
            for name, fingerprint in self._inputs(source, *tables).items()
        } | {f"keys {place}": run.manifest.fingerprint for place, run in enumerate(self.published)}

    @property
    def _documents(self) -> dict[str, Manifest]:
        return {source: self.manifests[f"documents {source}"] for source in self._sources}

    def _shards(self) -> list[PoolShard]:
        """The pool's shards, numbered over all sources in the order of their names."""
        shards: list[PoolShard] = []
        for source, manifest in sorted(self._documents.items()):
            dataset = Dataset(self.workspace.documents(source), manifest.fingerprint)
            for file in manifest.files:
                shards.append(PoolShard(len(shards), source, dataset.path(file.path), file, {}))
        return shards

    def _extend(
        self, shards: Sequence[PoolShard], table: str, folder: str | None = None
    ) -> list[PoolShard]:
        datasets = {
            source: Dataset(
                self.workspace.attributes(folder or table, source),
                self.manifests[f"{table} {source}"].fingerprint,
            )
            for source in [*self._sources, *(run.source for run in self.published)]
            if f"{table} {source}" in self.manifests
        }
        return with_tables(shards, table, datasets)

    def _find_inputs(self, source: Source) -> list[InputFile]:
        patterns = [self.recipe.pattern(path, self.workspace.uri) for path in source.paths]
        try:
            by = self.options.view_as(InputOptions).input_identity
            return find_inputs(self.workspace, patterns, by == "checksum", source.allow_empty)
        except NoInput as error:
            raise NoInput(f"source {source.name}: {error}") from error

    @contextmanager
    def _telling_where(self) -> Iterator[None]:
        """A task in which `where` could not be evaluated, as a problem of the recipe.

        Runners hand on an error's text alone. Of all SQL only `where`, and that of quality and
        repetition, holds what users wrote and can fail for some documents: `check` has seen to the
        rest.
        """
        try:
            yield
        except RunFailed as error:
            _, found, reason = str(error).partition(f": {QueryError.__name__}: ")
            written = mix_expressions(self.recipe)
            if not found or not written:
                raise
            # DuckDB's text is followed by all the SQL that was asked together.
            place = min(written, key=lambda one: one != WHERE)
            told = ".".join(map(str, place)) if len(written) == 1 else "SQL of the mix"
            message = f"{told} fails for a document: {reason}"
            raise RecipeError([self.recipe.problem(place, message)]) from error

    def _check_kept(self, table: str, counter: str, holder: str) -> None:
        """The same of the text that a table's manifests count: asked at each barrier, so that work
        on a pool that cannot give what the recipe asks ends as soon as that is known."""
        counts = {source: self.manifests[f"{table} {source}"].counts for source in self._sources}
        kept = {source: its.get(counter, 0) for source, its in counts.items()}
        check_bounds(self.recipe.mix, kept, holder)

    @property
    def _index_path(self) -> str:
        dataset = Dataset(self.workspace.benchmarks, self.manifests["benchmarks"].fingerprint)
        return dataset.path(INDEX_FILE)

    @property
    def _index_fingerprint(self) -> str:
        return str(self.manifests["benchmarks"].details["index"])

    def check(self) -> None:
        """Find out before any work whether the recipe's SQL, gates and tokenizer make sense.

        RecipeError and SuiteError tell what does not.
        """
        check_suites(self.recipe.tree)
        self.recipe.tokenizer(self.workspace.uri)
        check_sql(self.recipe)

    def _annotators(self, source: Source) -> list[Annotator]:
        """All that reads a source's text, each once."""
        its = {one.name: one for one in scorers(self.recipe, source)}
        if self.recipe.decontamination:
            decontaminate = Decontaminate(self._index_path, self._index_fingerprint)
            its[decontaminate.name] = decontaminate
        return list(its.values())

    def _judgement(self, source: Source) -> Judgement:
        return Judgement(
            conditions=tuple(source_conditions(self.recipe, source)),
            criteria=keep_criteria(self.recipe, source),
            schemas=source_schemas(self.recipe, source),
        )

    def _cuts(self, source: Source) -> Cuts:
        columns = [tuple(cut.split(".")) for rule in source.rules for cut in rule.cuts]
        decontamination = self.recipe.decontamination
        index = None
        if decontamination:
            index = (self._index_path, self._index_fingerprint)
            if decontamination.remove == "passage":
                columns.append((CONTAMINATION, "passages"))
        columns += [(TABLES[repeats.stage], "spans") for repeats in self.recipe.repeats]
        return Cuts(tuple((table, column) for table, column in columns), index)
