"""What a request may ask for: the site's images and code generators, in sane sizes."""

import json
from typing import Any

import pytest

from casita.columns.refusal import Reason, RefusedError
from casita.columns.submission import MAX_TITLE
from tests.unit.columns_bed import RULES

FILE = "root://origin.example.org//store/a.root"
# As servicex 3.3.1 sends it: TransformRequest of its servicex/models.py.
REQUEST = {
    "title": "muons",
    "file-list": [FILE],
    "selection": "[]",
    "codegen": "uproot-raw",
    "result-destination": "object-store",
    "result-format": "parquet",
}


def asked(**changes: Any) -> bytes:
    return json.dumps({**REQUEST, **changes}).encode()


def test_what_the_client_sends_goes_on_with_workers_for_it() -> None:
    assert RULES.checked(asked()) == {**REQUEST, "workers": 20}
    by_name = {"file-list": None, "did": "xrootd://root://x//store/*.root"}
    found = RULES.checked(asked(**by_name))
    assert found["did"] == by_name["did"]
    assert "file-list" not in found


def test_workers_are_as_many_as_the_site_has_at_most() -> None:
    assert RULES.checked(asked(workers=3))["workers"] == 3
    assert RULES.checked(asked(workers=10**6))["workers"] == 20


def test_an_image_is_one_of_the_sites() -> None:
    allowed = RULES.checked(asked(image="example.org/science:1"))
    assert allowed["image"] == "example.org/science:1"
    for image in ("docker.io/miner:1", "example.org/science", "example.org/science-of-mine:1"):
        with pytest.raises(RefusedError) as refused:
            RULES.checked(asked(image=image))
        assert (refused.value.status, refused.value.reason) == (403, Reason.IMAGE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codegen": "python"}, "this site has uproot-raw"),
        ({"codegen": None}, "this site has uproot-raw"),
        ({"title": "x" * (MAX_TITLE + 1)}, "title must be"),
        ({"title": "a\nb"}, "title must be"),
        ({"title": 7}, "title must be"),
        ({"selection": None}, "selection must be"),
        ({"selection": "\0"}, "selection must be"),
        ({"result-destination": "volume"}, "must be object-store"),
        ({"result-format": "csv"}, "must be one of"),
        ({"workers": 0}, "workers must be"),
        ({"workers": "many"}, "workers must be"),
        ({"file-list": []}, "either a did or a file-list"),
        ({"did": "xrootd://x"}, "either a did or a file-list"),
        ({"file-list": ["/etc/passwd"]}, "begins with none of"),
        ({"file-list": ["file:///etc/passwd"]}, "begins with none of"),
        ({"file-list": [f"{FILE},/etc/passwd"]}, "begins with none of"),
        ({"file-list": [7]}, "each file"),
        ({"file-list": [FILE] * 10_001}, "at most 10000 files"),
        ({"tty": True}, "unknown fields: tty"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words) as refused:
        RULES.checked(asked(**changes))
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        RULES.checked(body)
    assert refused.value.reason is Reason.REQUEST
