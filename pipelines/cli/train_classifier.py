"""`vineleaf train-classifier`: train a model for the rule `classifier`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.options import AsJson
from pipelines.cli.outcomes import ANSWERS, ERRORS, outcomes, print_json
from pipelines.cli.screens import labels_table
from pipelines.command_line import CommandError

__all__ = ["train_classifier"]


def train_classifier(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Model to write (.bin, .ftz); or URI.")],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL=PATTERN", help="Documents of a label; repeatable."),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Key of the metadata that holds the label of --input's.")
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="PATTERN", help="Documents labelled by --field."),
    ] = None,
    dim: Annotated[int, typer.Option(help="Values of a vector.")] = 100,
    word_ngrams: Annotated[int, typer.Option(help="Words of the longest n-gram.")] = 2,
    epochs: Annotated[int, typer.Option(help="Passes over the documents.")] = 5,
    learning_rate: Annotated[float, typer.Option(help="Step of the first pass.")] = 0.1,
    min_count: Annotated[int, typer.Option(help="Occurrences that a word needs.")] = 1,
    buckets: Annotated[int, typer.Option(help="Buckets that n-grams are hashed into.")] = 2_000_000,
    held_out: Annotated[float, typer.Option(help="Share of documents to measure on.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Key of the hash that holds documents out.")] = 0,
    quantize: Annotated[
        bool, typer.Option("--quantize", help="Make the model small, at some cost of precision.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a fastText model for the rule `classifier` on labelled documents (Dolma JSONL).

    Prints precision and recall on documents that it was not trained on. The same documents give the
    same model.

    `vineleaf train-classifier models/quality.bin --label hq='good/*.jsonl.gz'
    --label lq='web/*.jsonl.zst'`
    """
    from pipelines.progress import RunProgress
    from pipelines.train_classifier import Training
    from pipelines.train_classifier import train_classifier as train

    with outcomes(as_json):
        labelled: dict[str, list[str]] = {}
        for one in label or []:
            name, equals, pattern = one.partition("=")
            if not (name and equals and pattern):
                raise CommandError(f"--label takes LABEL=PATTERN (got '{one}')")
            labelled.setdefault(name, []).append(pattern)
        if (field is None) != (not input_):
            raise CommandError("--field and --input go together: a key of the metadata, and files")
        training = Training(
            dim, word_ngrams, epochs, learning_rate, min_count, buckets, held_out, seed, quantize
        )
        by_field = None if field is None else (field, input_ or [])
        progress = RunProgress(ERRORS)
        with progress.shown(), progress.phase("train-classifier: reading and training"):
            outcome = train(out, labelled, training, by_field)
    if as_json:
        print_json({"ok": True, **outcome.to_json()})
        return
    ANSWERS.print(labels_table(outcome.labels))
    for title, counts in (
        ("Trained on", outcome.trained),
        ("Held out", outcome.held_out),
        ("Left out", outcome.left_out),
    ):
        parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        ANSWERS.print(f"{title}: {parts or 'nothing'}", markup=False)
    ANSWERS.print(
        f"The right label is the most likely for {outcome.accuracy:.1%} of those held out."
    )
    ANSWERS.print(f"The model: {outcome.model}", markup=False)
