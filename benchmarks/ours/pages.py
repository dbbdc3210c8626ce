"""Main text of web pages."""

from __future__ import annotations

from benchmarks.inputs import read_pages, word_overlap
from benchmarks.work import Task, Work
from transforms.ingest.html import extract_page

__all__ = ["extract"]


def extract(task: Task) -> Work:
    """Main text of each page; the answer is its word overlap with what the page is about."""
    pages = read_pages(task.corpus, task.text_bytes)
    contents = [page["html"].encode() for page in pages]
    return Work(
        run=lambda: [extract_page(content, "utf-8").text for content in contents],
        run_bytes=sum(map(len, contents)),
        warm=lambda: extract_page(contents[0], "utf-8"),
        answer=lambda texts: word_overlap(pages, texts),
    )
