"""What a Dataflow submission talks to, on loopback: a job service and Cloud Storage, in memory.

It takes every upload and every job, says that the job is done, and keeps what it got.
"""

from __future__ import annotations

import base64
import bz2
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from apache_beam.portability.api import beam_runner_api_pb2


@dataclass
class DataflowStub:
    """Where it listens, the jobs that it was sent, and uploaded objects by gs:// path."""

    address: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)


def pipeline_of(job: dict[str, Any], stub: DataflowStub) -> beam_runner_api_pb2.Pipeline:
    """The pipeline that was uploaded for a job."""
    path = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    return beam_runner_api_pb2.Pipeline.FromString(stub.objects[path])


def functions_of(pipeline: beam_runner_api_pb2.Pipeline) -> bytes:
    """What a pipeline's functions are pickled as: its message holds them compressed."""
    payloads = [
        beam_runner_api_pb2.ParDoPayload.FromString(one.spec.payload).do_fn.payload
        for one in pipeline.components.transforms.values()
        if one.spec.urn == "beam:transform:pardo:v1"
    ]
    assert len(payloads) > 1
    return b"".join(bz2.decompress(base64.b64decode(one)) for one in payloads)


def _metadata(bucket: str, name: str, content: bytes) -> dict[str, Any]:
    checksum = google_crc32c.Checksum(content).digest()
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "size": str(len(content)),
        "generation": "1",
        "crc32c": base64.b64encode(checksum).decode(),
    }


@contextmanager
def dataflow_stub() -> Iterator[DataflowStub]:
    """Start it; it ends with the block."""
    stub = DataflowStub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def answer(self, value: Any, code: int = 200, **headers: str) -> None:
            content = json.dumps(value).encode()
            self.send_response(code)
            for name, one in headers.items():
                self.send_header(name, one)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
                self.answer({"kind": "storage#bucket", "name": found[1], "location": "EU"})
            elif found := re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)", path):
                name = unquote(found[2])
                content = stub.objects.get(f"gs://{found[1]}/{name}")
                if content is None:
                    self.answer({"error": {"code": 404, "message": "Not Found"}}, 404)
                elif "alt=media" in self.path:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                else:
                    self.answer(_metadata(found[1], name, content))
            elif path.endswith("/messages"):
                self.answer({"jobMessages": []})
            elif path.startswith("/v1b3/"):
                self.answer({**stub.jobs[-1], "id": "1", "currentState": "JOB_STATE_DONE"})
            else:
                self.answer({"error": {"code": 404, "message": "Not Found"}}, 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            if "/upload/" in parts.path:
                bucket = parts.path.split("/b/")[1].split("/")[0]
                asked = parse_qs(parts.query)
                name = asked["name"][0] if "name" in asked else json.loads(body)["name"]
                place = f"{stub.address}/put/{bucket}/{name}"
                self.answer({}, Location=place)
            else:
                stub.jobs.append(json.loads(body))
                self.answer({**stub.jobs[-1], "id": "1", "currentState": "JOB_STATE_PENDING"})

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            bucket, _, name = urlsplit(self.path).path.removeprefix("/put/").partition("/")
            path = f"gs://{bucket}/{unquote(name)}"
            stub.objects[path] = stub.objects.get(path, b"") + body
            self.answer(_metadata(bucket, unquote(name), stub.objects[path]))

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.address = f"http://localhost:{listening.server_address[1]}"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield stub
    finally:
        listening.shutdown()
        listening.server_close()
