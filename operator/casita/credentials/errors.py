"""The errors of this package."""


class CredentialError(Exception):
    """Material that cannot be used, or cannot be made as asked.

    The message says which piece is wrong and how, with names, times and fingerprints of public
    parts; it never holds a key, a token or any other part of the material.
    """


class SigningKeyError(CredentialError):
    """A key of the site, which tokens are signed with, cannot be used.

    The message names the file, what is wrong and what an admin can do.
    """
