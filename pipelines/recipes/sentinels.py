"""Sentinels of fill-in-the-middle: the tokens that a recipe names, looked up before any work."""

from __future__ import annotations

from pipelines.recipes.recipe import Recipe, RecipeError
from transforms.tokens.fill_in_middle import FillInMiddle, find_token
from transforms.tokens.specification import TokenizerError
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["find_middles"]


def find_middles(recipe: Recipe, tokenizer: Tokenizer) -> dict[str, FillInMiddle]:
    """What is rearranged to be filled in, by source. RecipeError where the tokenizer lacks a
    sentinel, or where one cannot tell parts apart: it is another one, or closes or fills as well.
    """
    asked = recipe.mix.middles
    if asked is None:
        return {}
    taken = {tokenizer.identity.eos: "closes documents (EOS)"}
    taken.setdefault(tokenizer.identity.pad, "fills sequences (PAD)")
    ids: dict[str, int] = {}
    for key in ("prefix", "middle", "suffix"):
        place, name = ("mix", "fill_in_middle", key), getattr(asked, key)
        told = f"'{'.'.join(place)}'"
        try:
            ids[key] = find_token(tokenizer, name)
        except TokenizerError as error:
            raise RecipeError([recipe.problem(place, f"{told}: {error}")]) from None
        if ids[key] in taken:
            message = f"{told}: {name!r} {taken[ids[key]]}: name a token that nothing else means"
            raise RecipeError([recipe.problem(place, message)])
        taken[ids[key]] = f"is '{key}' as well"
    its = FillInMiddle(asked.rate, asked.suffix_first, asked.split, **ids, seed=recipe.mix.seed)
    return dict.fromkeys(asked.sources, its)
