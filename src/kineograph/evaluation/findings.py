"""What the judge finds: measures that fit in JSON, and a sentence for each check that fails."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STEADINESS = "steadiness"
"""The part of a motion that says how evenly it goes: no halt, no leap, no change of pace."""


@dataclass
class Findings:
    """What was measured, and in a sentence each what failed."""

    measured: dict[str, Any]
    reasons: list[str] = field(default_factory=list)
    facts: dict[str, bool] = field(default_factory=dict)
    """Each fact that was asked for ("shape", "motion", ...) => whether all its checks hold."""
    parts: dict[str, bool] = field(default_factory=dict)
    """The same, with STEADINESS apart from the rest of "motion"."""

    def check(
        self, holds: bool | np.bool_, sentence: str, fact: str = "motion", part: str = ""
    ) -> None:
        """Keep the sentence as a reason unless it holds; ``part`` is what of the fact it tells."""
        part = part or fact
        self.facts[fact] = self.facts.get(fact, True) and bool(holds)
        self.parts[part] = self.parts.get(part, True) and bool(holds)
        if not holds:
            self.reasons.append(sentence)

    def absorb(self, other: Findings) -> None:
        """Take over what another look at the same object found."""
        self.measured.update(other.measured)
        self.reasons.extend(other.reasons)
        for mine, theirs in ((self.facts, other.facts), (self.parts, other.parts)):
            mine |= {name: mine.get(name, True) and holds for name, holds in theirs.items()}

    def note(self, name: str, value: Any) -> None:
        """Keep a number, text, or array; NaN becomes None, which JSON knows."""
        if isinstance(value, np.ndarray):
            value = _plain(value.astype(float).tolist())
        elif isinstance(value, np.generic):
            value = value.item()
        self.measured[name] = round(value, 3) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return round(value, 2) if math.isfinite(value) else None
