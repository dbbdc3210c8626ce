"""Files that rules read, lists and models: found, hashed and read before any work is done.

That a file is whole is found out once: the workspace keeps which contents were read to their end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pipelines.inputs import NoInput, find_inputs
from pipelines.recipes.checks import places_of
from pipelines.recipes.pool_part import Source
from pipelines.recipes.recipe import Problem, Recipe, RecipeError
from pipelines.workspace import Workspace
from transforms import storage
from transforms.annotators import Annotator, ReadsFiles, RuleFile

__all__ = ["find_rule_files"]

Place = tuple[str | int, ...]  # keys that lead to a value of the recipe


def find_rule_files(recipe: Recipe, workspace: Workspace) -> Recipe:
    """The recipe with the place and the hash of each file that a rule names.

    RecipeError, with file and line, for each name that matches no file or several, and for a file
    that its annotator cannot use or that is damaged.
    """
    finding = _Finding(recipe, workspace, [], _read_checked(workspace))
    known = len(finding.checked)
    sources = tuple(
        replace(
            source,
            rules=tuple(
                replace(
                    rule,
                    annotators=tuple(finding.with_files(one, source) for one in rule.annotators),
                )
                for rule in source.rules
            ),
        )
        for source in recipe.sources
    )
    if finding.problems:
        raise RecipeError(list(dict.fromkeys(finding.problems)))
    if len(finding.checked) > known:
        storage.write_json(_checked_path(workspace), sorted(finding.checked))
    return replace(recipe, sources=sources)


def _checked_path(workspace: Workspace) -> str:
    return storage.join(workspace.uri, "work", "checked_rule_files.json")


def _read_checked(workspace: Workspace) -> set[str]:
    """What an earlier run has read to its end; nothing where that is not known."""
    path = _checked_path(workspace)
    try:
        known = storage.read_json(path) if storage.exists(path) else []
    except storage.DamagedFile:
        return set()
    return {str(one) for one in known} if isinstance(known, list) else set()


@dataclass(frozen=True)
class _Finding:
    """The search for files of one recipe, what is wrong with them, and which annotators have read
    which contents."""

    recipe: Recipe
    workspace: Workspace
    problems: list[Problem]
    checked: set[str]

    def with_files(self, annotator: Annotator, source: Source) -> Annotator:
        if not isinstance(annotator, ReadsFiles):
            return annotator
        found = [self._find(file, source) for file in annotator.files]
        files = tuple(file for file in found if file is not None)
        if len(files) == len(found):
            try:
                return self._checked(annotator.with_files(files))
            except ValueError as error:
                for file in annotator.files:
                    self._tell(file, source, str(error))
        return annotator

    def _checked(self, annotator: Any) -> Annotator:
        """The annotator, its files read unless they were before. ValueError as `check_files`."""
        parts = [type(annotator).__name__, str(annotator.version)]
        read = " ".join([*parts, *sorted(file.digest for file in annotator.files)])
        if read not in self.checked:
            annotator.check_files()
            self.checked.add(read)
        return annotator  # type: ignore[no-any-return]

    def _find(self, file: RuleFile, source: Source) -> RuleFile | None:
        pattern = self.recipe.pattern(file.path, self.workspace.uri)
        try:
            found = find_inputs(self.workspace, [pattern])
        except NoInput as error:
            self._tell(file, source, str(error))
            return None
        if len(found) > 1:
            message = f"{file.path} must name one file (it matches {len(found)})"
            self._tell(file, source, message)
            return None
        return RuleFile(found[0].file.path, found[0].file.name, found[0].digest)

    def _tell(self, file: RuleFile, source: Source, message: str) -> None:
        place: Place = ("pool", "sources", source.name, "rules")
        rules = self.recipe.tree["pool"]["sources"][source.name]["rules"]
        self.problems.extend(
            self.recipe.problem((*place, *below), message) for below in places_of(rules, file.path)
        )
