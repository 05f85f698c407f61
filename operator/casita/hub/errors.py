"""Why a server could not be started, in words for the page that shows it."""


class SessionError(Exception):
    """A session cannot be had. JupyterHub shows `jupyterhub_message` to the user."""

    @property
    def jupyterhub_message(self) -> str:
        """What the user reads."""
        return str(self)
