"""`python -m benchmarks.plan`: how long `vineleaf plan` takes on stored attributes.

`--documents 10M`: a pool of stored attributes (stored_pool.py) is written below `--folder`, and
`vineleaf plan` is asked, each time in a process of its own, what the recipe, another share, quality
and a sweep of thresholds would give. Prints a table, as in docs/scale.md, or JSON. The pool stays:
the next measurement with the same folder and size finds it there.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.scale import parse_number
from benchmarks.stored_pool import make_pool

__all__ = ["QUESTIONS", "main", "measure_plan", "render"]

QUALITY = (
    "mix.quality={score: size.words, sources: [web], bins: 20, discard: 0.4, max_epochs: 7}",
)
# What is asked -> arguments of `vineleaf plan`.
QUESTIONS = {
    "the recipe": (),
    "another share": ("--set", "mix.shares.web=0.5"),
    "quality in 20 bins": ("--set", *QUALITY),
    "three thresholds of a rule": ("--sweep", "gopher.words.min=30,50,100"),
}


def measure_plan(recipe: str, workspace: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Wall and CPU seconds and peak memory of one `vineleaf plan`. RuntimeError when it fails."""
    command = [sys.executable, "-m", "pipelines", "plan", recipe, "-w", workspace, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"plan failed: {done.stdout}{done.stderr}")
    answer = json.loads(done.stdout)
    return {
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2
        ),
        "peak_bytes": after.ru_maxrss * 1024,
        "taken_tokens": sum(its["taken_tokens"] or 0 for its in answer["sources"].values()),
        "variants": len(answer["sweep"]),
    }


def render(documents: int, figures: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        f"`vineleaf plan` on {documents:,} documents:",
        "",
        "| asked | wall | CPU | peak memory so far |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {its['wall_seconds']:.1f} s | {its['cpu_seconds']:.1f} s"
        f" | {its['peak_bytes'] / 1e9:.2f} GB |"
        for name, its in figures.items()
    ]
    return "\n".join(lines)


def main(
    documents: Annotated[str, typer.Option(help="Documents of the pool: 10M.")] = "10M",
    folder: Annotated[str, typer.Option(help="Where the pool is made, and kept.")] = ".bench/plan",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure `vineleaf plan` on stored attributes."""
    count = parse_number(documents)
    place = Path(os.path.abspath(folder)) / str(count)
    recipe, workspace = place / "recipe.yaml", place / "workspace"
    if not (place / "made").exists():
        make_pool(count, str(place))
        (place / "made").touch()
    figures = {
        name: measure_plan(str(recipe), str(workspace), arguments)
        for name, arguments in QUESTIONS.items()
    }
    if as_json:
        sys.stdout.write(json.dumps({"documents": count, "figures": figures}) + "\n")
    else:
        sys.stdout.write(render(count, figures) + "\n")


if __name__ == "__main__":
    typer.run(main)
