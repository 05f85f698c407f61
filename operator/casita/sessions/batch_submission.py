"""What the operator shows and hands to the batch system in a user's name: account, job, files."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from casita.api.session import SessionSpec, WorkerPool
from casita.clients.batch.jobs import Account, WorkerJob
from casita.clients.kubernetes import KubernetesClient
from casita.config import Batch, Profile, Site, Universe
from casita.credentials import idtoken
from casita.credentials.errors import CredentialError, SigningKeyError
from casita.manifests.common import Owner
from casita.manifests.inference import inference_environment
from casita.manifests.resources import SECRET
from casita.manifests.secrets import AUTHORITY, addresses, secret_name
from casita.sessions.issuing import Issued, Keys, make_batch_leaf, read_authority
from casita.sessions.token_keys import TokenKeys
from casita.sessions.tokens import pool_of

TOKEN_LIFE: Final = timedelta(minutes=10)
"""Of the token of a few operations in a row: longer than they may take."""

LEAF_MARGIN: Final = timedelta(hours=1)
"""How much longer than its job a leaf lives: for clocks, and machines that are slow to end it."""

TOKEN_KIND: Final = "idtoken-operator"  # noqa: S105 - a word of the audit log
LEAF_KIND: Final = "batch-worker"


def worker_job(
    owner: Owner, spec: SessionSpec, site: Site, pool: WorkerPool, run: str
) -> WorkerJob:
    """Return what the jobs of a pool have in common.

    Args:
        owner: the session.
        spec: what it asks for; not refused.
        site: a site with a batch system and a route.
        pool: one of the session's pools.
        run: fingerprint of the session's authority.
    """
    batch = _batch(site)
    workers, profile = batch.workers, site.profile(spec.profile)
    container = workers.universe is Universe.CONTAINER
    image = spec.image or (profile.image if profile else "")
    return WorkerJob(
        session=owner.uid,
        run=run,
        slug=owner.slug,
        pool=pool.pool,
        scheduler=addresses(owner, site).external or "",
        cores=pool.cores,
        memory_mi_b=pool.memory_mi_b,
        disk_mi_b=pool.disk_mi_b,
        python=workers.python,
        image=image if container else "",
        requirements=tuple(text for text in (workers.requirements, pool.requirements) if text),
        accounting_group=pool.accounting_group or "",
        queue_seconds=workers.queue_seconds,
        wall_seconds=workers.wall_seconds,
        drain_seconds=site.workers.drain_seconds,
        first_port=workers.first_port,
        last_port=workers.last_port,
        contact_address=workers.contact_address,
        environment={**workers.environment, **_inference(site, profile)},
        directives=workers.directives,
    )


def _inference(site: Site, profile: Profile | None) -> Mapping[str, str]:
    """Return the variables of an inference service; the chart's own is in the cluster alone."""
    server = site.inference_server(profile) if profile else None
    return {} if server is None or server.health_url else inference_environment(server)


def leaf_life(job: WorkerJob) -> timedelta:
    """Return how long a job may be there, from its submission to its end."""
    seconds = job.queue_seconds + job.wall_seconds + job.drain_seconds
    return timedelta(seconds=seconds) + LEAF_MARGIN


class BatchCredentials:
    """Makes what one submission, or a few operations in a row, need. It keeps nothing."""

    def __init__(
        self,
        client: KubernetesClient,
        site: Site,
        keys: Keys,
        token_keys: TokenKeys,
        issued: Callable[[Issued], None],
        clock: Callable[[], datetime],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._client = client
        self._site = site
        self._keys = keys
        self._token_keys = token_keys
        self._issued = issued
        self._clock = clock
        self._random = random

    def account(self, owner: Owner, user: str) -> Account:
        """Return the user's account, with a token that ends soon.

        Raises:
            CredentialError: the site's key cannot be used, or no token is made for this user.
        """
        batch, key = _batch(self._site), self._token_keys.read().idtoken
        if key is None:
            raise SigningKeyError("the site has no key for IDTOKENs")
        token = idtoken.user_token(
            key, pool_of(batch), user, TOKEN_LIFE, self._clock(), self._random(16).hex()
        )
        self._tell(owner, user, TOKEN_KIND, token.id, token.not_after)
        return Account(batch.collector, batch.schedd, f"{user}@{batch.uid_domain}", token.text)

    async def files(self, owner: Owner, user: str, job: WorkerJob) -> Mapping[str, bytes]:
        """Return the files of a submission: one request, for the authority that signs.

        Raises:
            ApiError: the authority's Secret cannot be read.
            CredentialError: it is damaged, over, or another one by now.
        """
        secret = await self._client.read(SECRET, owner.namespace, secret_name(owner, AUTHORITY))
        now = self._clock()
        authority = read_authority(secret, owner, self._keys, now)
        if authority.fingerprint != job.run:
            raise CredentialError("the session has another authority by now")
        leaf, files = make_batch_leaf(owner, self._site, authority, leaf_life(job), now)
        self._tell(owner, user, LEAF_KIND, leaf.serial, leaf.not_after)
        return files

    def _tell(self, owner: Owner, user: str, kind: str, serial: str, not_after: datetime) -> None:
        self._issued(Issued(user, owner.namespace, owner.name, kind, serial, not_after))


def _batch(site: Site) -> Batch:
    if site.batch is None:
        raise CredentialError("the site has no batch system")
    return site.batch
