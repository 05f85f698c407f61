"""A real Keycloak on this machine: the identity provider from which a hub's users come.

Its distribution comes by Maven and is kept among the other programs, already configured as it is
started here (Keycloak's guide "Configuring Keycloak", optimized startup); every start has a folder
and a database of its own. It speaks plain HTTP, for a gateway in front that ends TLS.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from tests.cluster import wait
from tests.cluster.errors import ClusterError
from tests.cluster.locations import cache
from tests.cluster.packages import ensure, search_path
from tests.cluster.process import tail
from tests.cluster.relay import enter_network
from tests.cluster.steps import Steps

VERSION: Final = "26.7.0"
SHA256: Final = "e63bd0167199c0092b8a4d22cc137e6b7a70e0089070f6f7799b1be504b69a8a"
PACKAGES: Final = {"java": "default-jre-headless", "mvn": "maven"}

REALM: Final = "facility"
CLIENT: Final = "hub"
ADMIN: Final = "admin"

BUILD: Final = ("--db=dev-mem",)
"""What is decided when the distribution is configured; it costs as much as a start or more."""
OPTIONS: Final = ("--cache=local", "--import-realm", "--http-enabled=true")
"""With its caches alone, it opens no port to others but the one of HTTP."""
JAVA: Final = {
    "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
    # Most of a start is code that runs once: compiling it well takes longer than it saves.
    "JAVA_OPTS_APPEND": "-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}

INSTALL_SECONDS: Final = 900.0
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
ANSWER: Final = aiohttp.ClientTimeout(total=30)


class KeycloakError(Exception):
    """Keycloak could not be had, did not start, or refused what a test asked of it."""


@dataclass(frozen=True)
class User:
    """Somebody who can log in by the password of the run.

    Attributes:
        name: as in `preferred_username`; the mail address is made of it.
        groups: names, as in the claim `groups`.
        verified: whether the mail address counts as proven.
    """

    name: str
    groups: tuple[str, ...] = ()
    verified: bool = True


USERS: Final = (
    User("alice", ("cms",)),
    User("bob", ("cms", "admins")),
    User("mallory", verified=False),
)


@dataclass(frozen=True)
class Keycloak:
    """A provider that runs, its one client, and what an administrator does there.

    Attributes:
        issuer: URL under which users and the client know the realm.
        client_id: the client, which has to use PKCE with S256.
        client_secret: the client's, new in every run.
        password: everybody's, new in every run.
        url: where this process reaches it, past the gateway; in the provider's own network if
            it runs in another.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    password: str = field(repr=False)
    url: str
    _admin_password: str = field(repr=False)
    _connector: Callable[[], aiohttp.TCPConnector] = field(repr=False)

    async def leave_group(self, user: str, group: str) -> None:
        """Take a user out of a group.

        Raises:
            KeycloakError: there is no such user, or the user is not in the group.
        """
        async with self._admin() as admin:
            path = await _user(admin, user)
            groups = await _ask(admin, "GET", f"{path}/groups")
            found = next((one["id"] for one in groups if one["name"] == group), None)
            if found is None:
                raise KeycloakError(f"{user} is not in the group {group}")
            await _ask(admin, "DELETE", f"{path}/groups/{found}")

    async def disable(self, user: str) -> None:
        """Forbid a user everything, in logins that are open too.

        Raises:
            KeycloakError: there is no such user.
        """
        async with self._admin() as admin:
            path = await _user(admin, user)
            # The whole user: an update may clear what it leaves out of the profile.
            known = await _ask(admin, "GET", path)
            await _ask(admin, "PUT", path, known | {"enabled": False})

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[aiohttp.ClientSession]:
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": ADMIN,
            "password": self._admin_password,
        }
        base = f"{self.url}/admin/realms/{REALM}/"
        async with aiohttp.ClientSession(
            base, connector=self._connector(), timeout=ANSWER
        ) as session:
            token = f"{self.url}/realms/master/protocol/openid-connect/token"
            async with session.post(token, data=form) as response:
                answer = await _read(response)
            session.headers["Authorization"] = f"Bearer {answer['access_token']}"
            yield session


@contextlib.asynccontextmanager
async def keycloak(
    folder: Path,
    *,
    port: int,
    hostname_url: str,
    redirect_uri: str,
    address: str = "127.0.0.1",
    users: Sequence[User] = USERS,
    prefix: Sequence[str] = (),
) -> AsyncIterator[Keycloak]:
    """Run a provider for as long as a block.

    Args:
        folder: an empty one for the realm's file, with the secrets of the run, and `keycloak.log`.
        port: where it listens.
        hostname_url: where browsers and the client find it, by way of a gateway that ends TLS and
            sets the X-Forwarded headers, e.g. ``https://idp.af.test``.
        redirect_uri: where the client's users come back to.
        address: where it listens.
        users: who can log in.
        prefix: words before the command, e.g. ``nsenter --net=...``: it may run in another network
            namespace, which root alone can enter.

    Raises:
        KeycloakError: it cannot be installed here, ended, or did not answer in time; the message
            has the end of its log.
    """
    distribution = await asyncio.to_thread(installed, Steps())
    client_secret, password, admin_password = (secrets.token_urlsafe(24) for _ in range(3))
    content = realm(client_secret, password, redirect_uri, users)
    home = await asyncio.to_thread(_lay_out, folder, distribution, content)
    options = [
        *("--optimized", *OPTIONS),
        *(f"--http-host={address}", f"--http-port={port}"),
        *(f"--hostname={hostname_url}", "--proxy-headers=xforwarded"),
    ]
    command = [*_script(distribution), f"-Dkc.home.dir={home}", "start", *options]
    process = _start([*prefix, *command], home, admin_password)

    def connector() -> aiohttp.TCPConnector:
        return _inside(process.pid) if prefix else aiohttp.TCPConnector()

    url = f"http://{address}:{port}"
    try:
        issuer = await _issuer(process, url, connector, home / "keycloak.log")
        yield Keycloak(issuer, CLIENT, client_secret, password, url, admin_password, connector)
    finally:
        await asyncio.to_thread(_stop, process)


def installed(steps: Steps) -> Path:
    """Return the folder of the configured distribution, which is made at the first call.

    Raises:
        ClusterError: Java or Maven is missing and cannot be installed.
        KeycloakError: the distribution did not come, or is not the one that was reviewed.
    """
    ensure(PACKAGES, steps)
    digest = hashlib.sha256(repr((SHA256, BUILD)).encode()).hexdigest()[:16]
    folder = cache() / "programs" / f"keycloak-{VERSION}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".keycloak.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(folder, steps)
    return folder


def realm(
    client_secret: str, password: str, redirect_uri: str, users: Sequence[User]
) -> dict[str, Any]:
    """Build the realm as Keycloak imports it (its RealmRepresentation)."""
    return {
        "realm": REALM,
        "enabled": True,
        "sslRequired": "external",
        "registrationAllowed": False,
        "loginWithEmailAllowed": False,
        "groups": [{"name": name} for name in sorted({g for user in users for g in user.groups})],
        "users": [_representation(user, password) for user in users],
        "clients": [
            {
                "clientId": CLIENT,
                "secret": client_secret,
                "enabled": True,
                "protocol": "openid-connect",
                "publicClient": False,
                "standardFlowEnabled": True,
                "directAccessGrantsEnabled": False,
                "redirectUris": [redirect_uri],
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": f"{URL(redirect_uri).origin()}/*",
                },
                "protocolMappers": [
                    {
                        "name": "groups",
                        "protocol": "openid-connect",
                        "protocolMapper": "oidc-group-membership-mapper",
                        "config": {
                            "claim.name": "groups",
                            "full.path": "false",
                            "id.token.claim": "true",
                            "access.token.claim": "true",
                            "userinfo.token.claim": "true",
                        },
                    }
                ],
            }
        ],
    }


def _representation(user: User, password: str) -> dict[str, Any]:
    return {
        "username": user.name,
        "enabled": True,
        # Without a whole profile, Keycloak asks for it at the first login.
        "email": f"{user.name}@af.test",
        "emailVerified": user.verified,
        "firstName": user.name.capitalize(),
        "lastName": "Tester",
        "groups": [f"/{group}" for group in user.groups],
        "credentials": [{"type": "password", "value": password, "temporary": False}],
    }


def _install(folder: Path, steps: Steps) -> None:
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
    copy = ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={making}"]
    with steps.step(f"keycloak: fetching {VERSION}"):
        _run(["mvn", "--batch-mode", "--quiet", *copy], cwd=making)
    archive = making / f"keycloak-quarkus-dist-{VERSION}.zip"
    with archive.open("rb") as file:
        came = hashlib.file_digest(file, "sha256").hexdigest()
    if came != SHA256:
        raise KeycloakError(f"{archive.name} has SHA-256 {came} instead of {SHA256}")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(making)
    distribution = making / f"keycloak-{VERSION}"
    with steps.step("keycloak: configuring"):
        _run([*_script(distribution), "build", *BUILD], cwd=making)
    distribution.rename(folder)
    shutil.rmtree(making)


def _script(distribution: Path) -> list[str]:
    # Zip archives tell Python nothing of what may be executed.
    return ["sh", str(distribution / "bin/kc.sh")]


def _environment(**more: str) -> dict[str, str]:
    """Return this process's variables without a user's own settings of Keycloak's."""
    foreign = ("KC_", "KEYCLOAK_", "JAVA_OPTS")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return own | {"PATH": search_path()} | JAVA | more


def _run(command: list[str], *, cwd: Path) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise KeycloakError(f"`{' '.join(command)}` failed:\n{end}")


def _lay_out(folder: Path, distribution: Path, content: dict[str, Any]) -> Path:
    """Make a home of Keycloak that has everything of its own but the program; return its path."""
    home = folder.resolve()
    imports = home / "data/import"
    imports.mkdir(parents=True)
    (home / "lib").symlink_to(distribution / "lib")
    file = imports / f"{REALM}.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(content))
    return home


def _start(command: list[str], home: Path, admin_password: str) -> subprocess.Popen[bytes]:
    admin = {
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": admin_password,
    }
    with (home / "keycloak.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=home,
            env=_environment(**admin),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


async def _issuer(
    process: subprocess.Popen[bytes],
    url: str,
    connector: Callable[[], aiohttp.TCPConnector],
    log: Path,
) -> str:
    """Wait for the discovery document (OpenID Connect Discovery 1.0, section 4); its issuer."""
    document = f"{url}/realms/{REALM}/.well-known/openid-configuration"
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.2)
        if process.poll() is not None:
            raise KeycloakError(f"Keycloak ended by {process.returncode}:\n{tail(log, 40)}")
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with (
                aiohttp.ClientSession(connector=connector(), timeout=ANSWER) as session,
                session.get(document) as response,
            ):
                if response.status == 200:
                    return str((await response.json())["issuer"])
    raise KeycloakError(f"no answer from {document} in {START_SECONDS:.0f} s:\n{tail(log, 40)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    def gone() -> None:
        what = f"the group of process {process.pid}: ended"
        wait.until(lambda: not _signal(process, 0), what, seconds=STOP_SECONDS, every=0.05)

    _signal(process, signal.SIGTERM)
    try:
        gone()
    except ClusterError:
        _signal(process, signal.SIGKILL)
        gone()


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a process's group; return whether there is anybody in it."""
    process.poll()  # Once it has ended, this takes it out of the group.
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _inside(pid: int) -> aiohttp.TCPConnector:
    """Return what connects from a process's network: a socket stays where it was made."""
    network = Path(f"/proc/{pid}/ns/net")

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        enter_network(network)
        return socket.socket(*info[:3])

    def from_there(info: aiohttp.AddrInfoType) -> socket.socket:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(make, info).result()

    return aiohttp.TCPConnector(socket_factory=from_there)


async def _user(admin: aiohttp.ClientSession, name: str) -> str:
    users = URL("users") % {"username": name, "exact": "true"}
    found = await _ask(admin, "GET", str(users))
    if not found:
        raise KeycloakError(f"the realm has no user {name}")
    return f"users/{found[0]['id']}"


async def _ask(admin: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    async with admin.request(method, path, json=body) as response:
        return await _read(response)


async def _read(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    if not response.ok:
        raise KeycloakError(f"{response.method} {response.url.path}: {response.status} {text}")
    return json.loads(text) if text else None
