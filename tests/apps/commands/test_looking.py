"""Lists tell what there is: recipes, models, sources."""

from __future__ import annotations

from typing import Any

from kineograph.data.sources.tutorial import CAPTIONS


def test_recipes_and_models_are_told_with_what_they_are(call: Any) -> None:
    recipes = {each["name"]: each for each in call("recipes", "--json").json["recipes"]}
    assert recipes["tutorial"]["source"] == "tutorial"
    assert recipes["tutorial"]["about"]
    models = [each["name"] for each in call("models", "--json").json["models"]]
    assert "gan" in models
    assert call("models", "--json").json["bundled"] == ["shapes", "tutorial-gan"]
    assert "--model shapes" in call("models").out


def test_sources_give_examples_of_their_captions(call: Any) -> None:
    out = call("sources").out
    assert all(f"\n  {caption}" in out for caption in CAPTIONS)
