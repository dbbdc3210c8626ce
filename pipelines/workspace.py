"""Where things lie in a workspace."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.command_line import CommandError
from transforms import storage

__all__ = ["Workspace"]


@dataclass(frozen=True)
class Workspace:
    """A folder or URI that holds all that a recipe makes. Datasets hold `manifest.json` when
    finished.
    """

    uri: str

    def __post_init__(self) -> None:
        if not self.uri.strip():  # it would stand for the root of all folders
            raise CommandError("the workspace has no name: give a folder or URI")
        storage.check_uri(self.uri)

    def documents(self, source: str) -> str:
        """Documents of a source."""
        return storage.join(self.uri, "documents", source)

    def attributes(self, table: str, source: str) -> str:
        """An attribute table of a source."""
        return storage.join(self.uri, "attributes", table, source)

    @property
    def benchmarks(self) -> str:
        """The n-gram index of benchmarks, in a version for each set of them: recipes share it."""
        return storage.join(self.uri, "benchmarks", "index")

    def keys(self, recipe: str) -> str:
        """The keys of a recipe's pool that later runs are compared with."""
        return storage.join(self.uri, "keys", recipe)

    def mix(self, recipe: str) -> str:
        """The mix of a recipe."""
        return storage.join(self.uri, "mixes", recipe)

    def quarantine(self, source: str) -> str:
        """What of a source could not be read, and why."""
        return storage.join(self.uri, "quarantine", source)

    @property
    def tokenizers(self) -> str:
        """What tokenizers said of themselves; see `describe_tokenizer`."""
        return storage.join(self.uri, "work", "tokenizers")

    @property
    def parts(self) -> str:
        """Where parts of mixes lie, by what they hold; see `pipelines.mixing.reuse`."""
        return storage.join(self.uri, "work", "parts")

    def report(self, recipe: str) -> str:
        """The funnel of a recipe's last run, as JSON."""
        return storage.join(self.uri, "reports", f"{recipe}.json")

    def work(self, name: str, fingerprint: str) -> str:
        """Scratch of a running job: runs of its exchanges."""
        return storage.join(self.uri, "work", name, fingerprint)
