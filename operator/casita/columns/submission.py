"""What a request may ask for; what it leaves open is filled in.

The fields are those of ``SubmitTransformationRequest`` of ServiceX's
``servicex_app/resources/transformation/submit.py``; others are refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from casita.columns.refusal import Reason, RefusedError
from casita.columns.settings import SubmissionLimits

MAX_TITLE: Final = 128
MAX_URL: Final = 512
MAX_DID: Final = 400
"""With its scheme it fits where ServiceX keeps it: 512 characters."""
SCHEMES: Final = ("root://", "roots://", "http://", "https://")
FORMATS: Final = ("arrow", "parquet", "root-file")

_TEXTS: Final = {
    "title": MAX_TITLE,
    "did": MAX_DID,
    "tree-name": MAX_URL,
    "image": 128,
    "codegen": 64,
    "result-destination": 32,
    "result-format": 32,
}
_FIELDS: Final = frozenset({*_TEXTS, "selection", "file-list", "workers"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What requests of this site may say.

    Attributes:
        images: science images, by shell pattern; a code generator's own needs no name.
    """

    code_generators: tuple[str, ...]
    images: tuple[str, ...]
    limits: SubmissionLimits

    def checked(self, body: bytes) -> dict[str, Any]:
        """Return the request to hand on, made anew of what was understood.

        Raises:
            RefusedError: it asks for what is not allowed, or cannot be understood.
        """
        asked = _parsed(body)
        self._check_words(asked)
        self._check_files(asked)
        generator = asked.get("codegen")
        if generator not in self.code_generators:
            known = ", ".join(self.code_generators)
            raise _wrong(f"codegen is {generator!r}; this site has {known}")
        image = asked.pop("image", None)
        if image and not any(fnmatchcase(image, pattern) for pattern in self.images):
            raise RefusedError(
                403, Reason.IMAGE, f"image {image!r} is none that this site lets transformers run"
            )
        asked["workers"] = self._workers(asked.get("workers"))
        return {**asked, "image": image} if image else asked

    def _check_words(self, asked: Mapping[str, Any]) -> None:
        for name, length in _TEXTS.items():
            text = asked.get(name)
            if text is None:
                continue
            if not isinstance(text, str) or len(text) > length or not text.isprintable():
                raise _wrong(f"{name} must be plain text of at most {length} characters")
        if asked.get("result-destination") != "object-store":
            raise _wrong("result-destination must be object-store")
        if asked.get("result-format", FORMATS[0]) not in FORMATS:
            raise _wrong(f"result-format must be one of {', '.join(FORMATS)}")
        selection = asked.get("selection")
        if not isinstance(selection, str) or "\0" in selection:
            raise _wrong("selection must be text")

    def _check_files(self, asked: Mapping[str, Any]) -> None:
        files = asked.get("file-list") or []
        if not isinstance(files, list) or len(files) > self.limits.files:
            raise _wrong(f"file-list must be a list of at most {self.limits.files} files")
        for each in files:
            if not isinstance(each, str) or len(each) > MAX_URL or not each.isprintable():
                raise _wrong(f"each file must be an address of at most {MAX_URL} characters")
            # ServiceX takes a comma for the beginning of another replica's address.
            if not all(part.startswith(SCHEMES) for part in each.split(",")):
                raise _wrong(f"{each!r} begins with none of {', '.join(SCHEMES)}")
        if bool(files) == bool(asked.get("did")):
            raise _wrong("a request has either a did or a file-list")

    def _workers(self, workers: Any) -> int:
        most = self.limits.workers
        if workers is None:
            return most
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            raise _wrong("workers must be a number of at least 1")
        return min(workers, most)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong("the request is not JSON") from error
    if not isinstance(asked, dict):
        raise _wrong("the request must be a JSON object")
    if unknown := asked.keys() - _FIELDS:
        raise _wrong(f"unknown fields: {', '.join(sorted(unknown))}")
    return {name: value for name, value in asked.items() if value is not None}


def _wrong(words: str) -> RefusedError:
    return RefusedError(400, Reason.REQUEST, words)
