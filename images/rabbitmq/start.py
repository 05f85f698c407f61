"""Says who may use the broker, and becomes it.

RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS, or RABBITMQ_DEFAULT_PASS_FILE with a path, name
the one user. RabbitMQ itself takes a user from its environment only when its volume is empty; as
definitions, which it reads at every start, a new password is taken up by a restart.
"""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

DEFINITIONS = Path("/tmp/rabbitmq-definitions.json")  # noqa: S108 - of this container alone
SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def definitions(user: str, password: str, salt: bytes) -> dict[str, object]:
    """One virtual host, and one user who may do everything in it.

    Args:
        user: the user's name.
        password: the user's password.
        salt: 4 random bytes.
    """
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "users": [
            {
                "name": user,
                "password_hash": base64.b64encode(salt + digest).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [
            {"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        ],
    }


def password_of(environment: Mapping[str, str]) -> str:
    """The user's password; SystemExit if there is none."""
    file = environment.get("RABBITMQ_DEFAULT_PASS_FILE")
    password = environment.get("RABBITMQ_DEFAULT_PASS", "")
    if file:
        password = Path(file).read_text().removesuffix("\n")
    if not password:
        sys.exit("neither RABBITMQ_DEFAULT_PASS nor RABBITMQ_DEFAULT_PASS_FILE gives a password")
    return password


def main() -> None:
    """Write the definitions, and run the server in place of this process."""
    user = os.environ.get("RABBITMQ_DEFAULT_USER", "servicex")
    said = definitions(user, password_of(os.environ), os.urandom(4))
    os.umask(0o077)
    DEFINITIONS.write_text(json.dumps(said))
    kept = {name: value for name, value in os.environ.items() if "RABBITMQ_DEFAULT_" not in name}
    os.execve(SERVER, [SERVER], kept)  # noqa: S606


if __name__ == "__main__":
    main()
