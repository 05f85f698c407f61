"""The keys that a session's tokens are made with, as they are now."""

from dataclasses import dataclass

from casita.config import Site
from casita.credentials import keys, mlflow, servicex
from casita.credentials.token import SigningKey


@dataclass(frozen=True, slots=True)
class Material:
    """What tokens are made with, as it is now; what the site has not, is `None`."""

    idtoken: SigningKey | None = None
    macaroon: SigningKey | None = None
    cache_authority: bytes | None = None
    mlflow: SigningKey | None = None
    servicex: SigningKey | None = None


class TokenKeys:
    """The site's keys for tokens: files, and what is derived of the root key.

    Args:
        site: says which there are.
        root_key: the site's root key, which only a site with services of its own needs here.
    """

    def __init__(self, site: Site, root_key: bytes = b"") -> None:
        batch, cache, tracking, columns = site.batch, site.cache, site.tracking, site.columns
        self._idtoken = keys.idtoken_key_file(batch.key_file, batch.key_id) if batch else None
        self._macaroon = keys.macaroon_key_file(cache.key_file) if cache else None
        self._authority = keys.authority_file(cache.authority_file) if cache else None
        self._mlflow = mlflow.derive_key(root_key) if tracking and tracking.own else None
        self._servicex = servicex.derive_key(root_key) if columns and columns.own else None

    def read(self) -> Material:
        """Return what there is now.

        Raises:
            SigningKeyError: a file is missing or cannot be used.
        """
        return Material(
            self._idtoken.read() if self._idtoken else None,
            self._macaroon.read() if self._macaroon else None,
            self._authority.read() if self._authority else None,
            self._mlflow,
            self._servicex,
        )
