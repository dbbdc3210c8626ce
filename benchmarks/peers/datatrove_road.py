"""datatrove's whole road: JSONL in, the same stages in its own blocks, tokens out.

Gopher's, C4's and FineWeb's rules, the language by the same model, MinHash of 26 x 11 with its four
steps, 8-gram decontamination and cl100k tokens, in one process.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.inputs import read_documents
from benchmarks.peers.datatrove import write_index
from benchmarks.work import Task, Work

__all__ = ["road"]

WARM_DOCUMENTS = 20  # on which models are loaded and modules imported, before it is measured


def road(task: Task) -> Work:
    """Run on one core; the answer is {"kept": ids, "tokens": number}."""
    import fasttext
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.decont import NGramsDecontFilter
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LambdaFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.pipeline.writers import JsonlWriter

    documents = read_documents(task.corpus, task.text_bytes)
    source, few = (os.path.join(task.scratch, name) for name in ("input", "few"))
    for folder, its in ((source, documents), (few, documents[:WARM_DOCUMENTS])):
        os.makedirs(folder)
        with open(os.path.join(folder, "0.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in its)
    index = os.path.join(task.scratch, "index")
    decontamination = write_index(task.corpus, index)
    model = fasttext.load_model(task.options["model"]).f
    config = MinhashConfig(5, 26, 11)
    runs: list[str] = []

    def is_english(document: Any) -> bool:
        text = " ".join(document.text.split()) + "\n"
        ((probability, label),) = model.predict(text, 1, 0.0, "strict") or [(0.0, "")]
        return bool(label == "__label__en" and probability >= 0.65)

    def step(number: int, blocks: list[Any]) -> None:
        LocalPipelineExecutor(
            pipeline=blocks, tasks=1, workers=1, logging_dir=f"{runs[-1]}/logs/{number}"
        ).run()

    def run(source: str) -> str:
        folder = os.path.join(task.scratch, f"run-{len(runs)}")
        runs.append(folder)
        rules = [
            LambdaFilter(is_english),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(),
            FineWebQualityFilter(),
            NGramsDecontFilter(index, decontamination),
        ]
        step(1, [JsonlReader(source), *rules, JsonlWriter(f"{folder}/clean", compression=None)])
        clean = JsonlReader(f"{folder}/clean")
        step(2, [clean, MinhashDedupSignature(f"{folder}/signatures", config)])
        for bucket in range(config.num_buckets):
            MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config).run(
                None, bucket, config.num_buckets
            )
        step(
            4,
            [MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config)],
        )
        step(
            5,
            [
                JsonlReader(f"{folder}/clean"),
                MinhashDedupFilter(f"{folder}/remove"),
                JsonlWriter(f"{folder}/kept", compression=None),
                DocumentTokenizer(
                    f"{folder}/tokens", task.options["tokenizer"], shuffle_documents=False
                ),
            ],
        )
        return folder

    def answer(folder: str) -> dict[str, Any]:
        kept = [
            json.loads(line)["id"]
            for file in sorted(Path(folder, "kept").rglob("*.jsonl"))
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        size = sum(file.stat().st_size for file in Path(folder, "tokens").rglob("*.ds"))
        return {"kept": sorted(kept), "tokens": size // 4}

    size = sum(len(one["text"].encode()) for one in documents)
    return Work(lambda: run(source), size, lambda: run(few), answer)
