"""Why a session cannot be had, in words for the page that shows it."""


class SessionError(Exception):
    """A session cannot be had, or not be changed; the message is for its user to read."""
