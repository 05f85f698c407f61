"""A session's certificates on the API server: made, verified, given up when they are damaged."""

import logging
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from casita.api.names import RUN_ANNOTATION
from casita.clients.errors import ApiError
from casita.clients.kubernetes import Json, KubernetesClient
from casita.config import Site
from casita.credentials.errors import CredentialError
from casita.credentials.verify import load_certificate
from casita.credentials.x509 import Authority
from casita.manifests.resources import SECRET
from casita.manifests.secrets import AUTHORITY, secret_name
from casita.sessions.cache import Cache, SessionKey
from casita.sessions.issuing import (
    Issued,
    Keys,
    damage,
    keep_authority,
    make_authority,
    make_leaf,
    read_authority,
)
from casita.sessions.objects import NameTakenError, Objects
from casita.sessions.observed import Child, authority_certificate, deviates
from casita.sessions.plan import Plan, run_of
from casita.sessions.view import View

logger = logging.getLogger(__name__)


class Certificates:
    """Does what a plan says of Secrets. Whatever it logs or raises is without material."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        objects: Objects,
        site: Site,
        keys: Keys,
        issued: Callable[[Issued], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._cache = cache
        self._objects = objects
        self._site = site
        self._keys = keys
        self._issued = issued
        self._clock = clock

    async def recover(self, key: SessionKey, view: View) -> bool:
        """Look for an authority that is not seen; say whether it is there and can be used.

        Its label may have been taken away. Without it, everything of the session is made anew.
        """
        try:
            existing = await self._objects.existing(view.owner, SECRET, _authority_name(view))
        except NameTakenError:
            return False
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return await self._adopt(key, view, existing) is not None

    async def carry_out(self, key: SessionKey, view: View, plan: Plan) -> bool:
        """Make and verify what `plan` says; return whether that may ask for another plan.

        Raises:
            NameTakenError: a Secret's name is a stranger's.
            ApiError: the server refused.
            CredentialError: the authority cannot sign.
        """
        authority = await self._new_authority(key, view) if plan.new_authority else None
        leaves = list(plan.leaves)
        again = plan.new_authority
        for child in plan.verify:
            secret = await self._client.read(SECRET, view.owner.namespace, child.name)
            if child.name == _authority_name(view):
                await self._verify_authority(key, view, child, secret)
                again = True
            elif self._is_damaged(key, view, child, secret):
                leaves.append(_role(view, child))
        if leaves:
            authority = authority or await self._read_authority(key, view)
            if authority is None:
                return True
            for role in leaves:
                await self._new_leaf(key, view, authority, role)
        return again

    # -- leaves ---------------------------------------------------------------------------------

    async def _new_leaf(self, key: SessionKey, view: View, authority: Authority, role: str) -> None:
        leaf, manifest = make_leaf(
            role, view.owner, self._site, authority, self._keys, self._clock()
        )
        present = view.children.get((SECRET.kind, secret_name(view.owner, role)))
        uid = present.uid if present else None
        await self._objects.write(key, view.owner, SECRET, manifest, uid)
        self._tell(view, role, leaf.serial, leaf.not_after)

    def _is_damaged(self, key: SessionKey, view: View, child: Child, secret: Json) -> bool:
        pem = _authority_pem(view)
        trouble = damage(
            _role(view, child), secret, view.owner, self._site, self._keys, pem, self._clock()
        )
        if trouble is None:
            self._cache.settled(key, child.key)
            return False
        logger.warning("Secret %s is made again: %s", child.name, trouble)
        return True

    # -- the authority --------------------------------------------------------------------------

    async def _new_authority(self, key: SessionKey, view: View) -> Authority:
        authority, manifest = make_authority(
            view.owner, view.spec, self._site, self._keys, self._clock()
        )
        name = _authority_name(view)
        try:
            await self._objects.note(key, SECRET, name, self._client.create(SECRET, manifest))
        except ApiError as error:
            if not error.name_exists:
                raise
            existing = await self._objects.existing(view.owner, SECRET, name)
            kept = await self._adopt(key, view, existing)
            return kept or await self._new_authority(key, view)
        self._tell(view, AUTHORITY, authority.serial, authority.not_after)
        return authority

    async def _adopt(self, key: SessionKey, view: View, existing: Json) -> Authority | None:
        """Take an authority that was not seen back, or give it up if it is of no use."""
        name, uid = _authority_name(view), existing["metadata"]["uid"]
        run = run_of(view.spec.run_id)
        secret = await self._client.read(SECRET, view.owner.namespace, name)
        authority, trouble = None, "it is of an earlier run"
        if (secret["metadata"].get("annotations") or {}).get(RUN_ANNOTATION) == run:
            try:
                authority = read_authority(secret, view.owner, self._keys, self._clock())
            except CredentialError as error:
                trouble = str(error)
        if authority is None:
            logger.warning("authority Secret %s is given up: %s", name, trouble)
            await self._client.delete(SECRET, view.owner.namespace, name, uid)
            return None
        manifest = keep_authority(view.owner, authority, run, self._keys)
        await self._objects.note(key, SECRET, name, self._client.apply(SECRET, manifest, uid))
        return authority

    async def _read_authority(self, key: SessionKey, view: View) -> Authority | None:
        """Read the authority to sign with; a damaged one is withdrawn, and everything re-keyed."""
        name = _authority_name(view)
        secret = await self._client.read(SECRET, view.owner.namespace, name)
        try:
            return read_authority(secret, view.owner, self._keys, self._clock())
        except CredentialError as error:
            await self._discard(key, view.children[SECRET.kind, name], error)
            return None

    async def _verify_authority(
        self, key: SessionKey, view: View, child: Child, secret: Json
    ) -> None:
        """Believe the sealed key alone; what is noted beside it is put right by it."""
        try:
            authority = read_authority(secret, view.owner, self._keys, self._clock())
        except CredentialError as error:
            await self._discard(key, child, error)
            return
        run = child.facts.get(RUN_ANNOTATION, "")
        manifest = keep_authority(view.owner, authority, run, self._keys)
        planned, present = manifest["metadata"], secret["metadata"]
        if any(deviates(planned[part], present.get(part)) for part in ("labels", "annotations")):
            apply = self._client.apply(SECRET, manifest, child.uid)
            await self._objects.note(key, SECRET, child.name, apply)
        else:
            self._cache.settled(key, child.key)

    async def _discard(self, key: SessionKey, child: Child, trouble: CredentialError) -> None:
        logger.error(
            "authority Secret %s is unusable, the session is re-keyed: %s", child.name, trouble
        )
        await self._objects.withdraw(key, child, None)

    def _tell(self, view: View, kind: str, serial: str, not_after: datetime) -> None:
        self._issued(Issued.to(view.owner, view.spec, kind, serial, not_after))


def _authority_pem(view: View) -> bytes:
    """Return the certificate that its Secret tells; a plan verifies that Secret before others."""
    der = authority_certificate(view.children[SECRET.kind, _authority_name(view)])
    if der is None:
        raise CredentialError("the authority's certificate cannot be read from its Secret")
    return load_certificate(der).public_bytes(Encoding.PEM)


def _authority_name(view: View) -> str:
    return secret_name(view.owner, AUTHORITY)


def _role(view: View, child: Child) -> str:
    return child.name.removeprefix(f"{view.owner.slug}-")
