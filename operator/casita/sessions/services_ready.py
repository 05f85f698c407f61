"""``ServicesReady``: whether the services that a session may use do what it needs of them."""

from collections.abc import Mapping
from typing import Any, Final

from casita.api.conditions import ConditionType, Reason
from casita.sessions.check_reasons import (
    COLUMNS_REASONS,
    INFERENCE_REASONS,
    TRACKING_REASONS,
    Reasons,
    told,
)
from casita.sessions.checks import COLUMNS, TRACKING, inference_part
from casita.sessions.findings import Findings, Verdict, told_before
from casita.sessions.view import View

_OF_SERVICES: Final = frozenset(
    {*INFERENCE_REASONS.values(), *TRACKING_REASONS.values(), *COLUMNS_REASONS.values()}
)


def services_ready(view: View, findings: Findings, previous: Mapping[str, Any]) -> Verdict:
    """Return the condition's verdict: all that is wrong, in one message.

    Args:
        view: of the session.
        findings: what the site's parts answered.
        previous: the last status: until everything was asked, a restarted operator knows no more.
    """
    parts = parts_of(view)
    if not parts:
        return Verdict(True, Reason.NOT_CONFIGURED, "this site has no services for this session")
    found = [told(findings.answers.get(part), reasons) for part, reasons in parts.items()]
    troubled = [each for each in found if each[0] is False]
    if troubled:
        return Verdict(False, troubled[0][1], "; ".join(message for *_, message in troubled))
    if any(status is None for status, *_ in found):
        waiting = any(part not in findings.answers for part in parts)
        kind = ConditionType.SERVICES_READY
        before = told_before(previous, kind, _OF_SERVICES) if waiting else None
        return before or next(Verdict(*each) for each in found if each[0] is None)
    return Verdict(True, Reason.ANSWERED, "; ".join(message for *_, message in found))


def parts_of(view: View) -> dict[str, Reasons]:
    """Return the checks that a session's services have; those of somebody else are not asked."""
    site, parts = view.site, dict[str, Reasons]()
    profile = site.profile(view.spec.profile)
    server = site.inference_server(profile) if profile else None
    if server and server.health_url:
        parts[inference_part(server.name)] = INFERENCE_REASONS
    if site.tracking and site.tracking.own:
        parts[TRACKING] = TRACKING_REASONS
    if site.columns and site.columns.own:
        parts[COLUMNS] = COLUMNS_REASONS
    return parts
