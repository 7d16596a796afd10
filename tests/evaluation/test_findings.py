from __future__ import annotations

import numpy as np

from kineograph.evaluation.findings import Findings


def test_findings_fit_in_json() -> None:
    findings = Findings({})
    findings.note("path", np.array([[1.234, np.nan]]))
    findings.note("count", np.int64(3))
    findings.note("share", np.float64(0.12345))
    assert findings.measured == {"path": [[1.23, None]], "count": 3, "share": 0.123}


def test_only_what_fails_is_a_reason() -> None:
    findings = Findings({})
    findings.check(True, "fine")
    findings.check(np.bool_(False), "It is upside down.")
    assert findings.reasons == ["It is upside down."]
