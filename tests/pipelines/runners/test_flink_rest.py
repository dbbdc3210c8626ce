"""What Flink's REST interface says is told in a clause, and the named job alone is cancelled."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.runners import flink_rest
from pipelines.runners.flink_rest import (
    cancel_flink_job,
    check_flink,
    describe_flink,
    end_flink_jobs,
    flink_moves,
)

VERTICES = [
    {"name": "read", "status": "FINISHED", "tasks": {"FINISHED": 2}},
    {"name": "group " * 40, "status": "RUNNING", "tasks": {"RUNNING": 1, "SCHEDULED": 1}},
    *({"name": f"later {n}", "status": "CREATED", "tasks": {"CREATED": 2}} for n in range(4)),
]
ANSWERS = {
    "/overview": {"taskmanagers": 2, "slots-available": 0, "slots-total": 2},
    "/jobs/overview": {
        "jobs": [
            {"jid": "old", "name": "vineleaf-fuzzy-1", "state": "FINISHED"},
            {"jid": "ours", "name": "vineleaf-fuzzy-1", "state": "RUNNING"},
            {"jid": "theirs", "name": "vineleaf-fuzzy-2", "state": "RUNNING"},
        ]
    },
    "/jobs/ours": {"state": "RUNNING", "vertices": VERTICES},
    "/jobs/ours?mode=cancel": {},
}


@pytest.fixture
def flink():
    """(options that name a JobManager, what it was asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.command} {self.path}")
            body = json.dumps(ANSWERS[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_GET

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PipelineOptions([f"--flink_master=127.0.0.1:{server.server_port}"]), asked
    server.shutdown()
    server.server_close()


def test_workers_slots_and_steps_are_told(flink):
    said = describe_flink(flink[0], "vineleaf-fuzzy-1")
    assert said.startswith("Flink has 2 TaskManagers with 0 of 2 slots free; the job is RUNNING at")
    assert "(1 scheduled, 1 running), later 0 (2 created), later 1 (2 created), 2 more; " in said
    assert "read" not in said
    assert len(said) < 300


def test_only_the_running_job_of_that_name_is_cancelled(flink):
    cancel_flink_job(flink[0], "vineleaf-fuzzy-1")
    assert [one for one in flink[1] if "PATCH" in one] == ["PATCH /jobs/ours?mode=cancel"]


@pytest.fixture
def running(monkeypatch):
    """The jobs that run, which end when they are asked for once more after they were cancelled."""
    jobs = [
        {"jid": "ours", "name": "vineleaf-1-fuzzy-2", "state": "RUNNING"},
        {"jid": "theirs", "name": "vineleaf-2-fuzzy-2", "state": "RUNNING"},
        {"jid": "old", "name": "vineleaf-1-fuzzy-1", "state": "FAILED"},
    ]
    asked = []

    def ask(address, method="GET"):
        asked.append(f"{method} {address.partition(':1/')[2]}")
        for job in jobs:
            if job["state"] == "CANCELLING":
                job["state"] = "CANCELED"
            if method == "PATCH" and job["jid"] in address:
                job["state"] = "CANCELLING"
        return {"jobs": [dict(job) for job in jobs]}

    monkeypatch.setattr(flink_rest, "_ask", ask)
    monkeypatch.setattr(flink_rest, "ASK_AGAIN_SECONDS", 0.0)
    return PipelineOptions(["--flink_master=127.0.0.1:1"]), jobs, asked


def test_jobs_are_ended_by_what_their_names_begin_with(running):
    options, jobs, asked = running
    assert end_flink_jobs(options, "vineleaf-1-") == ["vineleaf-1-fuzzy-2"]
    assert [job["state"] for job in jobs] == ["CANCELED", "RUNNING", "FAILED"]
    assert [one for one in asked if "PATCH" in one] == ["PATCH jobs/ours?mode=cancel"]
    assert end_flink_jobs(options, "vineleaf-1-") == []


def test_a_job_that_does_not_end_is_told(running, monkeypatch):
    options, _, _ = running
    monkeypatch.setattr(flink_rest, "END_SECONDS", 0.01)
    monkeypatch.setattr(flink_rest, "_unfinished", lambda master, wanted: {"ours": "a-job"})
    with pytest.raises(OSError, match=r"Flink at http://127\.0\.0\.1:1 does not end a-job"):
        end_flink_jobs(options, "vineleaf-1-")


def test_a_job_moves_when_records_or_bytes_do(monkeypatch):
    counts = {"read-records": 1, "read-bytes": 2, "accumulated-idle-time": 3}
    job = {"vertices": [{"id": "v", "status": "RUNNING", "metrics": counts}]}
    found = {"jobs": [{"jid": "j", "name": "n", "state": "RUNNING"}]}
    monkeypatch.setattr(
        flink_rest, "_ask", lambda address: found if address.endswith("overview") else job
    )
    options = PipelineOptions(["--flink_master=127.0.0.1:1"])
    before = flink_moves(options, "n")
    counts["accumulated-idle-time"] += 1
    assert flink_moves(options, "n") == before
    counts["read-records"] += 1
    assert flink_moves(options, "n") != before
    assert flink_moves(options, "another") == []


@pytest.mark.parametrize(
    ("flags", "lacking"),
    [
        (["--runner=FlinkRunner"], "--job_endpoint=HOST:PORT --flink_master=HOST:PORT"),
        (["--runner=flink", "--flink_master=a:1"], "--job_endpoint=HOST:PORT"),
        (["--runner=FlinkRunner", "--job_endpoint=a:1", "--flink_master=[local]"], "--flink_ma"),
    ],
)
def test_what_flinks_runner_lacks_is_told_before_any_work(flags, lacking):
    with pytest.raises(ValueError, match=f"FlinkRunner needs {lacking}".replace("[", r"\[")):
        check_flink(PipelineOptions(flags))


def test_other_runners_need_no_flink():
    check_flink(PipelineOptions(["--runner=PortableRunner"]))
    check_flink(
        PipelineOptions(["--runner=FlinkRunner", "--job_endpoint=a:1", "--flink_master=b:2"])
    )


def test_without_a_master_nothing_is_asked():
    assert describe_flink(PipelineOptions([]), "name") == ""
    assert flink_moves(PipelineOptions([]), "name") is None
    assert end_flink_jobs(PipelineOptions([]), "") == []
    cancel_flink_job(PipelineOptions(["--flink_master=[local]"]), "name")


def test_a_master_that_does_not_answer_is_told():
    options = PipelineOptions(["--flink_master=http://127.0.0.1:1/"])
    assert describe_flink(options, "n").startswith("Flink at http://127.0.0.1:1 does not answer (")
    with pytest.raises(OSError, match="does not answer"):
        flink_moves(options, "n")
