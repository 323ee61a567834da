"""Why a term of the link role ends."""

from __future__ import annotations

from agent.link.memory import TakenOver


class Revoked(Exception):
    """The credential is not valid any more; workloads stay. A new enrolment helps."""


class Decommissioned(Exception):
    """The cluster was removed from the control plane; workloads stay."""


class Hopeless(Exception):
    """Nothing worked for minutes: begin anew with fresh connections."""


def main_cause(errors: ExceptionGroup[Exception]) -> Exception:
    """The exception that says why the term ended."""
    found: list[Exception] = []
    for error in errors.exceptions:
        found.append(main_cause(error) if isinstance(error, ExceptionGroup) else error)
    for kind in (TakenOver, Decommissioned, Revoked, Hopeless):
        for error in found:
            if isinstance(error, kind):
                return error
    return found[0]
