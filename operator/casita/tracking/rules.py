"""What the site asks of requests beside MLflow's permissions.

Runs bear the name of who really made them, and artifacts are kept where the server keeps them.
"""

import json
import re
from typing import Any, Final

from flask import Response, request

from casita.tracking.identity import CURRENT, Identity

USER_TAG: Final = "mlflow.user"

_TAGGING: Final = re.compile(r"/mlflow/runs/(create|set-tag|log-batch)$")
_EXPERIMENT: Final = "/mlflow/experiments/create"

CLOSED: Final = re.compile(
    r"""^/gateway/
    | /mlflow/(gateway|gateway-proxy|assistant|webhooks|demo|genai|scorers?|jobs)(/|$)
    | /mlflow/issues/invoke$ | /mlflow/runs/create-promptlab-run$ | /3\.0/jobs(/|$)
    | /mlflow/users/(create|create-ui|update-password|update-admin)$ | ^/signup$
    """,
    re.VERBOSE,
)
"""Paths that nobody is let to: language models and hooks would have the server call addresses that
users name, with secrets of theirs; accounts and passwords are the hub's."""


def apply() -> Response | None:
    """Look at the request at hand, once MLflow has allowed it; for Flask's `before_request`.

    Handlers read the same body afterwards: what is changed in it here, they see.
    """
    identity = CURRENT.get()
    creates = request.path.endswith(_EXPERIMENT)
    if identity is None or not (creates or _TAGGING.search(request.path)):
        return None
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        return _refused("the body must be a JSON object")
    if creates:
        return refuse_location(body)
    sign(body, identity, new=request.path.endswith("/create"))
    return None


def refuse_location(body: dict[str, Any]) -> Response | None:
    """Refuse an experiment that says itself where its artifacts are.

    The server would read and write there with its own rights, in others' experiments as well.
    """
    if body.get("artifact_location") or body.get("artifactLocation"):
        return _refused("artifact_location must be left out: this server keeps artifacts itself")
    return None


def sign(body: dict[str, Any], identity: Identity, *, new: bool) -> None:
    """Put the name of who asks where a run says whose it is.

    Args:
        body: of a request that makes a run or tags it.
        identity: who asks.
        new: whether the run is made.
    """
    if new:
        body.pop("userId", None)
        body["user_id"] = identity.name
    tags = body.get("tags")
    if isinstance(tags, list):
        for tag in tags:
            if isinstance(tag, dict) and tag.get("key") == USER_TAG:
                tag["value"] = identity.name
    if body.get("key") == USER_TAG:
        body["value"] = identity.name


def _refused(words: str) -> Response:
    error = {"error_code": "INVALID_PARAMETER_VALUE", "message": words}
    return Response(json.dumps(error), status=400, mimetype="application/json")
