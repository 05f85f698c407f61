"""Logs as one JSON object a line, and the audit trail of credentials."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from casita.operator.site_credentials import SiteIssued
from casita.sessions.issuing import Issued

audit_logger = logging.getLogger("casita.audit")

_FIELDS: Final = ("user", "session", "secret", "kind", "serial", "notAfter")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: vars(record)[name] for name in _FIELDS if name in vars(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logs(level: str) -> None:
    """Send all logs to standard error as JSON; kopf's own chatter only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("kopf", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def audit(issued: Issued) -> None:
    """Write the audit line of one issued credential: never its material."""
    _audit(issued, session=f"{issued.namespace}/{issued.session}")


def audit_site(issued: SiteIssued) -> None:
    """Write the audit line of one credential of the site, which is of no session."""
    _audit(issued, secret=f"{issued.namespace}/{issued.secret}")


def _audit(issued: Issued | SiteIssued, **place: str) -> None:
    audit_logger.info(
        "credential issued",
        extra={
            "user": issued.user,
            **place,
            "kind": issued.kind,
            "serial": issued.serial,
            "notAfter": issued.not_after.isoformat(),
        },
    )
