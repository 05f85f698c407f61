"""A wheel of a package that nobody else has."""

import base64
import hashlib
import zipfile
from pathlib import Path

COMPILED = "_casita_greetings_speed.cpython-311-x86_64-linux-gnu.so"


def wheel(folder: Path, version: str, *needs: str) -> Path:
    """Write a wheel of a package that nobody else has, with a module in it and a binary beside."""
    info = f"casita_greetings-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: casita-greetings\nVersion: {version}\n"
    files = {
        "casita_greetings/__init__.py": f"VERSION = {version!r}\n",
        f"casita_greetings/{COMPILED}": "\x7fELF",
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_hash(text)},{len(text)}\n" for name, text in files.items())
    path = folder / f"casita_greetings-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return path


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
