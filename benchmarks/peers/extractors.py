"""Extractors of main text: resiliparse called plainly, and trafilatura.

Each answer is the word overlap of what was found with what a page is about, page by page.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.inputs import read_pages, word_overlap
from benchmarks.work import Task, Work

__all__ = ["resiliparse", "trafilatura"]


def _extract_all(task: Task, extract: Callable[[str], str]) -> Work:
    pages = read_pages(task.corpus, task.text_bytes)
    return Work(
        run=lambda: [extract(page["html"]) for page in pages],
        run_bytes=sum(len(page["html"].encode()) for page in pages),
        warm=lambda: extract(pages[0]["html"]),
        answer=lambda texts: word_overlap(pages, texts),
    )


def resiliparse(task: Task) -> Work:
    """`extract_plain_text` with main_content."""
    from resiliparse.extract.html2text import extract_plain_text

    return _extract_all(task, lambda page: str(extract_plain_text(page, main_content=True)))


def trafilatura(task: Task) -> Work:
    """`extract`."""
    import trafilatura

    return _extract_all(task, lambda page: trafilatura.extract(page) or "")
