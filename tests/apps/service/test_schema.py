"""Whatever the OpenAPI document allows, and what it does not: no 5xx, and no answer it denies."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from kineograph.apps.service.guard import Guarded
from kineograph.apps.service.jobs import Limits
from kineograph.apps.service.pages import Studio
from kineograph.apps.service.server import Service, make_app


@pytest.fixture(scope="module")
def document(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a service whose workers do nothing, so that a job may be in any state but made."""
    folder = tmp_path_factory.mktemp("schema")
    guarded = Guarded(("localhost", "testserver"))
    service = Service(
        str(folder),
        (models,),
        guarded,
        workers=0,
        limits=Limits(queued=10**6),
        studio=Studio(runs=models),
    )
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(service))


def _examples(path: str) -> int:
    """Few of what starts a process each time."""
    return 5 if path.endswith(("/clips", "/check", "/duel")) else 40


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_what_the_document_says(document: Any, mode: GenerationMode) -> None:
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 21
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=_examples(operation.path), suppress_health_check=list(HealthCheck))
        def check(case: Any) -> None:
            # Which sizes and models there are, the document cannot say; and that a number may come
            # as a text is a kindness to forms.
            lenient = [checks.positive_data_acceptance, checks.negative_data_rejection]
            case.call_and_validate(excluded_checks=lenient)

        with contextlib.suppress(Unsatisfiable):  # what has no parameter cannot be asked wrongly
            check()
