"""Small objects on Google Cloud Storage that are written on conditions: what a lock needs.

All else on `gs://` goes through Beam's file system. Google's library comes with
`pip install 'vineleaf[gcp]'`; credentials are found by its own chain alone
(GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, the machine's account).
Errors are an OSError with one sentence, as in `s3`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.s3 import BadUri, Look, NoBucket

__all__ = ["delete_objects", "is_gcs", "look", "put_object", "telling"]

SECONDS = 60.0  # for one answer
AGAIN_SECONDS = 30.0  # in which it is asked again
QUICK_SECONDS = 10.0  # the same where a lease runs out meanwhile; nothing is asked again then


def is_gcs(path: str) -> bool:
    """Whether a path is one of Cloud Storage."""
    return path.startswith("gs://")


def put_object(
    path: str, data: bytes, replaces: str | None = None, quick: bool = False
) -> str | None:
    """Write a small object if none is there, or in the place of the generation `replaces`; gives
    its generation, None when the condition does not hold. `quick`: asked once."""
    with telling(path):
        from google.api_core.exceptions import NotFound, PreconditionFailed

        blob = _blob(path)
        condition = int(replaces or 0)
        try:
            blob.upload_from_string(data, if_generation_match=condition, **_patience(quick))
        except PreconditionFailed:
            return None
        except NotFound as error:
            if not replaces:
                raise NoBucket(f"{path}: there is no bucket of this name") from error
            return None
        return str(blob.generation)


def look(path: str, quick: bool = False) -> Look | None:
    """What a small object holds, with its generation as checksum; None when there is none. Its age
    is told by the store's clock, from an object that is written for it. `quick` as above."""
    with telling(path):
        from google.api_core.exceptions import NotFound

        blob, patience = _blob(path), _patience(quick)
        try:
            blob.reload(**patience)
            generation, updated = blob.generation, blob.updated  # an answer's headers change them
            data = blob.download_as_bytes(if_generation_match=generation, **patience)
        except NotFound:
            return None
        now = _blob(f"{path}.clock.{secrets.token_hex(8)}")
        now.upload_from_string(b"", if_generation_match=0, **patience)
        age = (now.updated - updated).total_seconds()
        now.delete(**patience)
        return Look(data, str(generation), max(0.0, age))


def delete_objects(paths: Sequence[str]) -> None:
    """Delete a few objects; those that do not exist are no error."""
    for path in paths:
        with suppress(FileNotFoundError), telling(path):
            _blob(path).delete(**_patience(quick=False))


def _patience(quick: bool) -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

    return {
        "timeout": QUICK_SECONDS if quick else SECONDS,
        "retry": None if quick else DEFAULT_RETRY.with_timeout(AGAIN_SECONDS),
    }


def _blob(path: str) -> Any:
    from apache_beam.io.gcp.gcsio import create_storage_client

    options = FileSystems.get_filesystem("gs://")._pipeline_options  # type: ignore[attr-defined]
    if not isinstance(options, PipelineOptions):
        options = PipelineOptions.from_dictionary(options or {})
    bucket, _, name = path.removeprefix("gs://").partition("/")
    if not bucket:
        raise BadUri(f"'{path}' names no bucket: write gs://BUCKET/NAME")
    client = create_storage_client(options)
    return client.bucket(bucket).blob(name)


@contextmanager
def telling(path: str) -> Iterator[None]:
    """Turn the library's errors into one sentence, which holds nothing of the credentials."""
    try:
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth
        from requests import exceptions as web
    except ImportError as error:
        raise OSError(f"{path} needs Google's libraries: pip install 'vineleaf[gcp]'") from error
    try:
        yield
    except api.NotFound as error:
        raise FileNotFoundError(f"{path}: there is no bucket or object of this name") from error
    except (api.Unauthorized, api.Forbidden) as error:
        raise PermissionError(
            f"Cloud Storage refuses access to {path} ({error.code}): check the credentials that"
            " Google's library finds (GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth"
            " application-default login`, or the machine's account) and their role"
        ) from error
    except auth.GoogleAuthError as error:
        raise PermissionError(
            f"no credentials for {path}: set GOOGLE_APPLICATION_CREDENTIALS, or give the machine"
            " an account"
        ) from error
    except (api.GoogleAPIError, web.RequestException) as error:
        told = str(error).splitlines() or [type(error).__name__]
        raise OSError(f"Cloud Storage can not be asked for {path}: {told[0]}") from error
