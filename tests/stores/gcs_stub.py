"""Cloud Storage's JSON API on loopback, in memory: objects, generations and their conditions."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c


@dataclass
class GcsObject:
    """What an object holds, its generation, and when it was written by the store's clock."""

    content: bytes
    generation: int
    updated: datetime


@dataclass
class GcsStub:
    """Objects by (bucket, name). `ahead`: of this machine's clock. `refuses`: a status with which
    everything is answered; `loses`: answers of writes that do not arrive, though they were done."""

    buckets: tuple[str, ...] = ("bucket",)
    objects: dict[tuple[str, str], GcsObject] = field(default_factory=dict)
    ahead: timedelta = timedelta()
    refuses: int = 0
    loses: int = 0
    address: str = ""
    written: int = 0


def _metadata(bucket: str, name: str, one: GcsObject) -> dict[str, Any]:
    return {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{one.generation}",
        "bucket": bucket,
        "name": name,
        "size": str(len(one.content)),
        "generation": str(one.generation),
        "metageneration": "1",
        "updated": one.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "crc32c": base64.b64encode(google_crc32c.Checksum(one.content).digest()).decode(),
    }


@contextmanager
def gcs_stub() -> Iterator[GcsStub]:
    """Start it; it ends with the block."""
    stub = GcsStub()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def answer(self, content: bytes, code: int = 200, **headers: str) -> None:
            self.send_response(code)
            for name, one in headers.items():
                self.send_header(name.replace("_", "-"), one)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def fail(self, code: int) -> None:
            said = {"error": {"code": code, "message": "told by the stub"}}
            self.answer(json.dumps(said).encode(), code, Content_Type="application/json")

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            found = re.fullmatch(r"(?:/upload|/download)?/storage/v1/b/([^/]+)/o/?(.*)", parts.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if stub.refuses:
                self.fail(stub.refuses)
            elif found is None or found[1] not in stub.buckets:
                self.fail(404)
            else:
                with lock:
                    self.act(found[1], unquote(found[2]), asked, body)

        def act(self, bucket: str, name: str, asked: dict[str, str], body: bytes) -> None:
            if self.command == "POST":
                kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                told, data = message_from_bytes(kind + body, policy=policy.HTTP).iter_parts()
                name = json.loads(told.get_content())["name"]
                content = data.get_payload(decode=True)
            one = stub.objects.get((bucket, name))
            wanted = asked.get("ifGenerationMatch")
            if wanted is not None and int(wanted) != (one.generation if one else 0):
                self.fail(412 if one or self.command == "POST" else 404)
            elif self.command == "POST":
                stub.written += 1
                now = datetime.now(UTC) + stub.ahead
                one = stub.objects[bucket, name] = GcsObject(content, 1000 + stub.written, now)
                if stub.loses:
                    stub.loses -= 1
                    self.fail(503)
                    return
                self.answer(json.dumps(_metadata(bucket, name, one)).encode())
            elif one is None:
                self.fail(404)
            elif self.command == "DELETE":
                del stub.objects[bucket, name]
                self.answer(b"", 204)
            elif asked.get("alt") == "media":
                crc = base64.b64encode(google_crc32c.Checksum(one.content).digest()).decode()
                self.answer(one.content, X_Goog_Hash=f"crc32c={crc}")
            else:
                self.answer(json.dumps(_metadata(bucket, name, one)).encode())

        do_GET = do_POST = do_DELETE = handle_any

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.address = f"http://127.0.0.1:{listening.server_address[1]}"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield stub
    finally:
        listening.shutdown()
        listening.server_close()
