"""Attributes of a sprite and its caption, both ways.

``parse`` undoes ``describe``, whatever the words in ``layers.json`` are: words with which it could
not are refused when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kineograph.core.errors import RequestError, nearest
from kineograph.data.grammar import CannotParse
from kineograph.data.sprite_sheets import ACTION, DIRECTION, LAYERS_FILE, Layout

PLACE = "{direction}"
ACTION_WORDS = {
    "walk": "walks {direction}",
    "run": "runs {direction}",
    "spellcast": "casts a spell facing {direction}",
    "thrust": "thrusts facing {direction}",
    "slash": "slashes facing {direction}",
    "shoot": "shoots facing {direction}",
    "hurt": "is hurt",
}
"""How captions name an action where ``layers.json`` does not say; any other goes by its name."""

_ARTICLES = {"a", "an", "the"}
_FILLERS = {",", "and", "with", "character", "who", "that", "to", "towards", "facing", "wearing"}

Phrase = tuple[str, ...]
Meaning = dict[str, str]


class Words:
    """The language of one set of sheets."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._actions = layout.actions
        self._meanings: dict[Phrase, Meaning] = {}
        for text, meaning in self._vocabulary():
            self._learn(text, meaning)
        self._longest = max(map(len, self._meanings))
        self._check_unambiguous()

    def describe(self, attributes: Mapping[str, str]) -> str:
        """Attributes, in the order in which the caption names them => caption."""
        on = [value for fact, value in attributes.items() if fact not in (ACTION, DIRECTION)]
        listed = " and ".join(filter(None, [", ".join(on[:-1]), *on[-1:]]))
        does = self._deed(attributes.get(ACTION), attributes.get(DIRECTION))
        return " ".join(filter(None, ["a character", listed and f"with {listed}", does]))

    def parse(self, caption: str) -> dict[str, str]:
        """Caption => attributes. Raises CannotParse, naming the words that are not known."""
        words = _split(caption)
        found: Meaning = {}
        strange: list[str] = []
        while words:
            length = self._phrase_length(words)
            for fact, value in self._meanings.get(words[:length], {}).items():
                if found.setdefault(fact, value) != value:
                    raise _cannot(caption, f'it says both "{found[fact]}" and "{value}"')
            if not length and words[0] not in _FILLERS:
                strange.append(words[0])
            words = words[max(length, 1) :]
        self._check(caption, found, " ".join(strange))
        return found

    def _phrase_length(self, words: Phrase) -> int:
        """How many words the longest phrase has with which ``words`` begins, 0 if with none."""
        lengths = range(min(self._longest, len(words)), 0, -1)
        return next((n for n in lengths if words[:n] in self._meanings), 0)

    def _check(self, caption: str, found: Meaning, strange: str) -> None:
        if strange:
            guess = nearest(strange, [" ".join(phrase) for phrase in self._meanings])
            hint = f' (did you mean "{guess}"?)' if guess else ""
            raise _cannot(caption, f'these sheets have no "{strange}"{hint}')
        if not found:
            raise _cannot(caption, "it says nothing of what can be seen")
        action, direction = found.get(ACTION), found.get(DIRECTION)
        if action and direction:
            shown = [row.direction for row in self._actions[action]]
            if direction not in shown:
                only = ", ".join(shown)
                raise _cannot(caption, f'"{action}" has the directions {only}, not "{direction}"')

    # ---- what there is to say -------------------------------------------------------------------

    def _deed(self, action: str | None, direction: str | None) -> str:
        """("walk", "left") => "walks left"; either may be missing."""
        if action is None:
            return f"facing {direction}" if direction else ""
        name = action.replace("_", " ")
        text = self._layout.words.get(action) or ACTION_WORDS.get(action) or name
        if direction and PLACE in text:
            return text.replace(PLACE, direction)
        words = text.replace(PLACE, "").split()
        while words and words[-1] in _FILLERS | _ARTICLES:  # "casts a spell facing"
            words.pop()
        if direction:
            words += [direction] if len(self._actions[action]) > 1 else ["facing", direction]
        return " ".join(words)

    def _vocabulary(self) -> Iterator[tuple[str, Meaning]]:
        for layer, texts in self._layout.layers.items():
            yield from ((text, {layer: text}) for text in texts)
        for row in self._layout.rows:
            both = {ACTION: row.action, DIRECTION: row.direction}
            yield self._deed(row.action, row.direction), both
            yield self._deed(row.action, None), {ACTION: row.action}
            yield row.action.replace("_", " "), {ACTION: row.action}
            yield row.direction, {DIRECTION: row.direction}

    def _learn(self, text: str, meaning: Meaning) -> None:
        phrase, said = _split(text), " ".join(f"{f} {v!r}" for f, v in meaning.items())
        if not phrase or phrase[0] in _FILLERS:
            raise self._unclear(f'"{text}" ({said}) does not begin with a word that names it')
        other = self._meanings.setdefault(phrase, meaning)
        if other != meaning:
            known = " ".join(f"{f} {v!r}" for f, v in other.items())
            raise self._unclear(f'"{text}" may mean {known} or {said}')

    def _check_unambiguous(self) -> None:
        """See that no name of an item and what a caption says after it read as another name."""
        items = {p for p, m in self._meanings.items() if m.keys() <= self._layout.layers.keys()}
        after = _FILLERS | {phrase[0] for phrase in self._meanings.keys() - items}
        for phrase in self._meanings:
            for n in range(1, len(phrase)):
                if phrase[:n] in items and phrase[n] in after:
                    long, short = " ".join(phrase), " ".join(phrase[:n])
                    raise self._unclear(f'"{long}" may also be "{short}" and something else')

    def _unclear(self, why: str) -> RequestError:
        file = self._layout.folder / LAYERS_FILE
        return RequestError(f"The words in {file} are ambiguous: {why}.", "Choose other words.")


def _split(text: str) -> Phrase:
    """Text => its words and commas in lower case, without articles and full stops."""
    words = re.findall(r"[^\s,.!]+|,", text.casefold())
    return tuple(word for word in words if word not in _ARTICLES)


def _cannot(caption: str, why: str) -> CannotParse:
    return CannotParse(f'Cannot judge "{caption}": {why}.', "Name what layers.json names.")
