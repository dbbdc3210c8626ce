"""The demo's web: pages that pydoc wrote, as a folder of HTML and as a crawl (`.warc.gz`).

Which page goes where follows from a keyed hash of its module's name. Planted: benchmark items in
pages of both, a mirror in the folder with exact and near copies, copies of folder pages in the
crawl, and in the crawl what any crawl has: records that are no page, a page that was not found, an
end that was cut off.
"""

from __future__ import annotations

import gzip
import html
import io
import os
import uuid

from fastwarc.warc import WarcRecord, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text

from pipelines.demo.planting import HALF_CHANGED, NEAR_CHANGED, Plan, change_words, keyed_share

__all__ = ["SITE", "write_crawl", "write_web_pages"]

CRAWL_NAME = "library.warc.gz"
SITE = "https://docs.example.org/library/"  # example.org is reserved for documents like these
CRAWL_SHARE = 0.35  # of the pages that nothing is planted in
MAX_PAGE_BYTES = 200_000  # larger pages are left out, so that no single one fills the demo's mix
SOFTWARE = b"software: pydoc\r\n"  # block of the warcinfo record
CRAWL_DATE = "2024-01-01T00:00:00Z"

# Modules in whose pages an item is planted: how, by source.
_CONTAMINATED_WEB = {
    "functools": "exact",
    "shlex": "prompt only",
    "statistics": "reformatted",
    "tempfile": "prompt and solution apart",
}
_CONTAMINATED_CRAWL = {"fileinput": "exact", "heapq": "prompt only", "pkgutil": "reformatted"}
# Modules whose page gets a copy: one word in so many is changed, 0 for none.
_MIRRORED = {"csv": 0, "difflib": NEAR_CHANGED, "tarfile": HALF_CHANGED}
_CRAWLED_AGAIN = {"textwrap": 0, "argparse": NEAR_CHANGED}


def write_web_pages(pages: str, folder: str, plan: Plan) -> None:
    """Write the folder of HTML pages; `pages` is where pydoc wrote them."""
    os.makedirs(os.path.join(folder, "mirror"))
    for name, page in _pages(pages, crawled=False):
        relative = f"{name}.html"
        if name in _CONTAMINATED_WEB:
            how = _CONTAMINATED_WEB[name]
            page = _insert(page, plan.contaminate("web", relative, how))
        _write(os.path.join(folder, relative), page.encode())
        if name in _MIRRORED:
            copy = _copy(page, _MIRRORED[name])
            texts = _texts(page, copy)
            plan.duplicate("web", relative, "web", f"mirror/{relative}", texts)
            _write(os.path.join(folder, "mirror", relative), copy.encode())


def write_crawl(pages: str, folder: str, plan: Plan) -> None:
    """Write the crawl: each record a gzip member of its own, as crawlers do."""
    os.makedirs(folder)
    records = [_record(WarcRecordType.warcinfo, "", SOFTWARE, "application/warc-fields")]
    for name, page in _pages(pages, crawled=True):
        url = f"{SITE}{name}.html"
        if name in _CONTAMINATED_CRAWL:
            page = _insert(page, plan.contaminate("crawl", url, _CONTAMINATED_CRAWL[name]))
        records.append(_response(url, "200 OK", "text/html; charset=utf-8", page.encode()))
    in_folder = _pages(pages, crawled=False)
    for name, page in in_folder:
        if name in _CRAWLED_AGAIN:
            url = f"{SITE}{name}.html"
            copy = _copy(page, _CRAWLED_AGAIN[name])
            plan.duplicate("web", f"{name}.html", "crawl", url, _texts(page, copy))
            records.append(_response(url, "200 OK", "text/html; charset=utf-8", copy.encode()))
    request = b"GET /library/csv.html HTTP/1.1\r\nHost: docs.example.org\r\n\r\n"
    kind = "application/http; msgtype=request"
    records.append(_record(WarcRecordType.request, f"{SITE}csv.html", request, kind))
    unusable = {
        "logo.png": ("200 OK", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        "gone.html": ("404 Not Found", "text/html", b"<html><body>Not found</body></html>"),
    }
    for name, (status, kind, body) in unusable.items():
        records.append(_response(SITE + name, status, kind, body))
        plan.reject("crawl", CRAWL_NAME, f"{name}: {status}, {kind}", "passed over")
    whole = in_folder[-1][1].encode()
    cut = _response(f"{SITE}cut.html", "200 OK", "text/html", whole)
    plan.reject("crawl", CRAWL_NAME, "truncated record at the end of the file")
    _write(os.path.join(folder, CRAWL_NAME), b"".join(records) + cut[: len(cut) // 2])


def _pages(folder: str, crawled: bool) -> list[tuple[str, str]]:
    """(module, page) of one of the two parts, sorted."""
    found = []
    for file_name in sorted(os.listdir(folder)):
        name = file_name.removesuffix(".html")
        path = os.path.join(folder, file_name)
        if os.path.getsize(path) <= MAX_PAGE_BYTES and _is_crawled(name) == crawled:
            with open(path, encoding="utf-8") as file:
                found.append((name, file.read()))
    return found


def _is_crawled(name: str) -> bool:
    if name in _CONTAMINATED_WEB or name in _MIRRORED or name in _CRAWLED_AGAIN:
        return False
    return name in _CONTAMINATED_CRAWL or keyed_share("crawl", name) < CRAWL_SHARE


def _insert(page: str, text: str) -> str:
    """The page with a paragraph of code below its heading (pydoc's first table)."""
    before, mark, after = page.partition("</table>")
    return f"{before}{mark}\n<pre>{html.escape(text, quote=False)}</pre>\n{after}"


def _copy(page: str, every: int) -> str:
    return change_words(page, every, html=True) if every else page


def _texts(page: str, copy: str) -> tuple[str, str]:
    return (
        extract_plain_text(page, main_content=True),
        extract_plain_text(copy, main_content=True),
    )


def _response(url: str, status: str, content_type: str, body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    block = "\r\n".join([*lines, "", ""]).encode() + body
    return _record(WarcRecordType.response, url, block, "application/http; msgtype=response")


def _record(kind: WarcRecordType, url: str, block: bytes, content_type: str) -> bytes:
    """One WARC record as a gzip member; its id follows from kind and URL."""
    record = WarcRecord()
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {url}")
    record.init_headers(kind, record_urn=f"uuid:{identifier}".encode())
    record.headers["WARC-Date"] = CRAWL_DATE
    if url:
        record.headers["WARC-Target-URI"] = url
    record.headers["Content-Type"] = content_type
    record.set_bytes_content(block)
    plain = io.BytesIO()
    record.write(plain)
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
