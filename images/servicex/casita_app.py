"""ServiceX's app, with TRANSFORMER_DEPLOYMENT_PATCH of its configuration over its Deployments.

Without it, pods come without a security context, with the namespace's default token, with the
object store's keys next to users' code, and without labels by which a network policy could know
them.
"""

from typing import Any

import servicex_app
from deployment_patch import merged
from flask import Flask, current_app
from kubernetes import client
from servicex_app.transformer_manager import TransformerManager


class Transformers(TransformerManager):
    """Starts and stops the transformers of requests."""

    @staticmethod
    def _create_job(api_instance: Any, job: Any, namespace: str) -> None:
        """Make the Deployment. A refusal is the request's answer, where upstream only logs it."""
        body = client.ApiClient().sanitize_for_serialization(job)
        patch = current_app.config.get("TRANSFORMER_DEPLOYMENT_PATCH", {})
        api_instance.create_namespaced_deployment(body=merged(body, patch), namespace=namespace)


def create_app() -> Flask:
    """What gunicorn serves."""
    # Under this name upstream's create_app finds the class; as an argument it takes an instance,
    # which would have to be made before the configuration was read.
    servicex_app.TransformerManager = Transformers
    return servicex_app.create_app()
