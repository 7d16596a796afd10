"""Errors name a cause and a remedy."""

from __future__ import annotations

from kineograph.core.errors import KineographError, MachineError, RequestError, nearest, unknown


def test_an_error_reads_as_cause_and_remedy() -> None:
    error = RequestError("The prompt is empty.", "Say what should move.")
    assert str(error) == "The prompt is empty. Say what should move."
    assert (error.cause, error.remedy) == ("The prompt is empty.", "Say what should move.")


def test_exit_codes_tell_a_wrong_request_from_a_failed_machine() -> None:
    assert RequestError("x").exit_code == 2
    assert MachineError("x").exit_code == 3
    assert issubclass(RequestError, KineographError)


def test_nearest_finds_a_misspelling_and_nothing_for_nonsense() -> None:
    assert nearest("shrinkin", ["shrinking", "expanding"]) == "shrinking"
    assert nearest("qqq", ["shrinking", "expanding"]) is None


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    error = unknown("recipe", "tutorail", ["tutorial", "digits"])
    assert error.cause == 'There is no recipe "tutorail".'
    assert error.remedy == 'Did you mean "tutorial"? Known: digits, tutorial.'
