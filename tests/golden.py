"""Golden files: what a function made when a person last looked at it and agreed.

``pytest --update-goldens`` writes them anew; the difference is then read in ``git diff``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml

DIRECTORY = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Golden:
    """Compares values with the files under ``tests/data``."""

    update: bool

    def check(self, name: str, value: object) -> None:
        """Fail unless `value` is what the file `name` (.json, .yaml or plain text) holds."""
        path = DIRECTORY / name
        text = _text(path, value)
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing; make it with --update-goldens"
        assert text == path.read_text(), f"{path} differs; if that is meant, --update-goldens"


def _text(path: Path, value: object) -> str:
    if path.suffix == ".json":
        return json.dumps(value, indent=2, sort_keys=True) + "\n"
    if path.suffix == ".yaml":
        return yaml.safe_dump(value, sort_keys=True, width=96)
    return str(value)
