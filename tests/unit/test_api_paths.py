"""Directories hold what is below them, and nothing that only begins alike."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casita.api.paths import DIRECTORY_PATTERN, FILE_PATTERN, PREFIX_PATTERN, as_prefix, within

directories = st.from_regex(DIRECTORY_PATTERN, fullmatch=True)


@pytest.mark.parametrize(
    ("path", "grant", "inside"),
    [
        ("/store/", "/store/", True),
        ("/store", "/store/", True),
        ("/store/", "/store", True),
        ("/store/cms/x", "/store/cms/", True),
        ("/storeevil", "/store", False),
        ("/storeevil/", "/store/", False),
        ("/store", "/store/cms", False),
        ("/", "/store/", False),
        ("/store/", "/", True),
        ("/other/store/", "/store/", False),
    ],
)
def test_a_directory_holds_itself_and_what_is_below(path: str, grant: str, inside: bool) -> None:
    assert within(path, grant) is inside


@given(directories, directories)
def test_what_is_within_has_the_parts_of_what_holds_it(path: str, grant: str) -> None:
    parts, held = path.strip("/").split("/"), grant.strip("/").split("/")
    assert within(path, grant) is (held == [""] or parts[: len(held)] == held)


@given(directories)
def test_a_directory_with_its_slash_is_a_prefix(path: str) -> None:
    assert re.fullmatch(PREFIX_PATTERN, as_prefix(path))
    assert as_prefix(as_prefix(path)) == as_prefix(path)


@pytest.mark.parametrize(
    "path",
    ["", "a", "a/b", "//", "/a//b", "/.", "/..", "/a/..", "/a/../b", "/.hidden", "/a b", "/a\n",
     "/a\t", "/a,b", "/a:b", "/a%2e", "/a?b", "/a#b", "/\N{LATIN SMALL LETTER E WITH ACUTE}"],
)  # fmt: skip
def test_whatever_could_mean_another_place_is_no_path(path: str) -> None:
    for pattern in (DIRECTORY_PATTERN, PREFIX_PATTERN, FILE_PATTERN):
        assert not re.fullmatch(pattern, path)


def test_a_file_has_no_slash_at_its_end() -> None:
    assert re.fullmatch(FILE_PATTERN, "/store/x.root")
    assert not re.fullmatch(FILE_PATTERN, "/store/")
    assert not re.fullmatch(FILE_PATTERN, "/")
