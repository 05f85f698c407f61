"""A session's tokens on the API server: made, verified, made again when they are damaged."""

import logging
import os
from collections.abc import Callable
from datetime import datetime

from casita.api.names import AUTHORITY_ANNOTATION
from casita.clients.kubernetes import KubernetesClient
from casita.credentials.errors import SigningKeyError
from casita.manifests.resources import SECRET
from casita.manifests.secrets import AUTHORITY, TOKENS, secret_name
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.issuing import Issued
from casita.sessions.objects import Objects
from casita.sessions.observed import Child
from casita.sessions.token_keys import Material
from casita.sessions.token_plan import TokenPlan
from casita.sessions.tokens import make_tokens, tokens_damage
from casita.sessions.view import View

logger = logging.getLogger(__name__)


class TokenSecrets:
    """Does what a plan says of the Secret of tokens. It logs and raises nothing of a token."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        objects: Objects,
        issued: Callable[[Issued], None],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._client = client
        self._cache = cache
        self._objects = objects
        self._issued = issued
        self._clock = clock
        self._random = random

    async def carry_out(self, key: SessionKey, view: View, plan: TokenPlan) -> None:
        """Make or verify what `plan` says.

        Raises:
            NameTakenError: the Secret's name is a stranger's.
            ApiError: the server refused.
            SigningKeyError: the site's keys cannot be used.
            CredentialError: no token is made for this user or directory.
        """
        if not (plan.make or plan.verify):
            return
        if view.material is None:
            raise SigningKeyError(view.key_trouble)
        present = view.children.get((SECRET.kind, secret_name(view.owner, TOKENS)))
        if (
            plan.make
            or present is None
            or await self._is_damaged(key, view, present, view.material)
        ):
            await self._make(key, view, view.material)

    async def _make(self, key: SessionKey, view: View, material: Material) -> None:
        """Make the tokens and write their Secret, over the one that is there if there is one."""
        authority = view.children[SECRET.kind, secret_name(view.owner, AUTHORITY)]
        fingerprint = authority.facts.get(AUTHORITY_ANNOTATION, "")
        tokens, manifest = make_tokens(
            view.owner, view.spec, view.site, material, fingerprint, self._clock(), self._random
        )
        present = view.children.get((SECRET.kind, secret_name(view.owner, TOKENS)))
        uid = present.uid if present else None
        await self._objects.write(key, view.owner, SECRET, manifest, uid)
        for kind, token in tokens.items():
            self._issued(Issued.to(view.owner, view.spec, kind, token.id, token.not_after))

    async def _is_damaged(
        self, key: SessionKey, view: View, child: Child, material: Material
    ) -> bool:
        """Read a Secret that somebody else may have changed."""
        secret = await self._client.read(SECRET, view.owner.namespace, child.name)
        trouble = tokens_damage(secret, view.owner, view.spec, view.site, material, self._clock())
        if trouble is None:
            self._cache.settled(key, child.key)
            return False
        logger.warning("Secret %s is made again: %s", child.name, trouble)
        return True
