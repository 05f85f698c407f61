"""What decides that an image is built anew, and what goes into its archive."""

import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cluster.buildah import HOST_FILES, npm_configuration, pip_configuration
from tests.cluster.errors import ClusterError
from tests.cluster.layout import NAME, Layout
from tests.cluster.recipes import Recipe, content_hash, parse, read

DEBIAN = "ARG BASE=docker.io/library/debian:trixie-slim\nFROM ${BASE}\n"


def write(root: Path, name: str, text: str) -> Path:
    path = root / "images" / name / "Dockerfile"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_a_dockerfile_says_itself_what_it_builds_on_and_copies(tmp_path: Path) -> None:
    recipe = parse(
        write(
            tmp_path,
            "tool",
            "# casita's tool\nARG BASE=casita/base\nFROM ${BASE}\n"
            "COPY --chown=1:1 requirements/a.txt \\\n  ./requirements/b.txt /tmp/\n"
            "COPY --from=other /x /y\n"
            "RUN --mount=type=bind,source=lock,target=/lock true\n"
            "COPY build/images/bin/pause /pause\n",
        )
    )
    assert recipe.base == "base"
    assert recipe.sources == (
        "requirements/a.txt",
        "requirements/b.txt",
        "lock",
        "build/images/bin/pause",
    )
    assert recipe.programs == ("pause",)


def test_an_image_comes_after_what_it_builds_on(tmp_path: Path) -> None:
    write(tmp_path, "a", "ARG BASE=localhost/casita/b:1\nFROM ${BASE}\n")
    write(tmp_path, "b", "ARG BASE=casita/c\nFROM ${BASE}\n")
    write(tmp_path, "c", DEBIAN)
    write(tmp_path, "d", "FROM scratch\n")
    order = list(read(tmp_path / "images"))
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("c") < order.index("b") < order.index("a")


def test_an_image_comes_after_those_that_it_copies_from_and_changes_with_them(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        "a",
        "ARG BASE=casita/c\nARG TOOLS=casita/b\nARG VERSION=1\nFROM ${TOOLS} AS tools\n"
        "FROM ${BASE}\nARG INNER=2\nCOPY --from=tools /x /y\n",
    )
    write(tmp_path, "b", "ARG BASE=casita/c\nFROM ${BASE}\n")
    write(tmp_path, "c", DEBIAN)
    found = read(tmp_path / "images")
    assert list(found) == ["c", "b", "a"]
    recipe = found["a"]
    assert (recipe.base, recipe.others, recipe.sources) == ("c", {"TOOLS": "b"}, ())
    tags = {content_hash(recipe, tmp_path, "c:1", [other]) for other in ("b:1", "b:2")}
    assert len(tags) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"{DEBIAN}ARG OTHER=casita/nowhere\n", "casita/nowhere"),
        ("FROM ubuntu\n", "first ARG must be"),
        ("ARG BASE=docker.io/library/debian:sid\nFROM ${BASE}\n", "debian:sid"),
        ("ARG BASE=casita/nowhere\nFROM ${BASE}\n", "casita/nowhere"),
    ],
)
def test_an_unknown_base_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path, "tool", text)
    with pytest.raises(ClusterError, match=complaint):
        read(tmp_path / "images")


def test_the_hash_follows_the_content_that_is_copied_and_nothing_else(tmp_path: Path) -> None:
    recipe = parse(write(tmp_path, "tool", f"{DEBIAN}COPY code /code\n"))
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("1")
    first = content_hash(recipe, tmp_path, "base:1")
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("x")
    (tmp_path / "other").write_text("x")
    assert content_hash(recipe, tmp_path, "base:1") == first
    assert content_hash(recipe, tmp_path, "base:2") != first
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    second = content_hash(recipe, tmp_path, "base:1")
    (tmp_path / "code" / "b.py").write_text("2")
    assert len({first, second, content_hash(recipe, tmp_path, "base:1")}) == 3


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    recipe = Recipe("tool", tmp_path / "Dockerfile", None, ("gone",))
    recipe.dockerfile.write_text("FROM scratch\n")
    with pytest.raises(ClusterError, match="copies gone"):
        content_hash(recipe, tmp_path, None)


def fill(folder: Path, images: dict[str, list[bytes]]) -> Layout:
    """A layout with images of the given layers."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes) -> dict[str, object]:
        digest = sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    manifests = []
    for name, layers in images.items():
        manifest = {"config": put(name.encode()), "layers": [put(layer) for layer in layers]}
        manifests.append(put(json.dumps(manifest).encode()) | {"annotations": {NAME: name}})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    return Layout(folder)


def test_an_archive_leaves_out_what_the_node_has(tmp_path: Path) -> None:
    layout = fill(tmp_path, {"one:1": [b"shared", b"own"], "two:1": [b"shared"]})
    shared = f"sha256:{sha256(b'shared').hexdigest()}"
    out = io.BytesIO()
    layout.write("one:1", out, without={shared})
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        assert [m["annotations"][NAME] for m in json.load(index)["manifests"]] == ["one:1"]
        names = archive.getnames()
    assert len(names) == 5  # layout, index, manifest, configuration, own layer
    assert not any(shared.removeprefix("sha256:") in name for name in names)


def test_tidying_keeps_shared_layers(tmp_path: Path) -> None:
    layout = fill(tmp_path, {"one:1": [b"shared", b"own"], "two:1": [b"shared"]})
    layout.keep(["two:1", "never-built:1"])
    assert layout.names() == {"two:1"}
    left = {path.name for path in (tmp_path / "blobs" / "sha256").iterdir()}
    assert left == {digest.removeprefix("sha256:") for digest in layout.blobs("two:1")}


def test_a_build_hears_of_the_hosts_package_index_and_trust() -> None:
    said = pip_configuration(
        "[global]\ntimeout = 5\ncert = /host/ca.pem\n",
        {"PIP_INDEX_URL": "https://index.example/100%25", "PIP_USER": "1", "HOME": "/"},
        "/host/ca.pem",
    )
    assert said.split("\n\n")[0].splitlines() == [
        "[global]",
        "timeout = 5",
        f"cert = {HOST_FILES}/ca.pem",
        "index-url = https://index.example/100%25",
    ]


def test_without_a_bundle_a_build_trusts_its_own() -> None:
    assert "cert" not in pip_configuration("[global]\ncert = /host/ca.pem\n", {}, None)


def test_npm_hears_of_the_hosts_registry_and_trust(tmp_path: Path) -> None:
    host = tmp_path / "npmrc"
    host.write_text("registry=https://npm.example.org/\ncafile=/host/ca.pem\n")
    said = npm_configuration(host, "/host/ca.pem").splitlines()
    assert said == ["registry=https://npm.example.org/", f"cafile={HOST_FILES}/ca.pem"]
    assert npm_configuration(tmp_path / "none", None) == ""
