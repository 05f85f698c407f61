"""The example notebooks run as they are in a new user's JupyterLab: as far as that shows unrun."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from casita.dask import Cluster

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/examples/notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
WELCOME = FOLDER / "getting-started.md"
STATUS_PAGE = "/services/status/"
SERVICES = {STATUS_PAGE, "/services/mlflow/"}

IN_THE_IMAGE = ("casita.access", "casita.api", "casita.dask")
"""What images/notebook/Dockerfile copies of casita."""

BY_ANOTHER_NAME = {"mlflow": "mlflow_skinny"}
"""Modules whose package is not called like them."""

Cell = dict[str, Any]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str = "") -> list[Cell]:
    found: list[Cell] = json.loads(path.read_text())["cells"]
    return [cell for cell in found if kind in ("", cell["cell_type"])]


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def trees(path: Path) -> Iterator[ast.AST]:
    """Give every node of a notebook's code."""
    for cell in cells(path, "code"):
        yield from ast.walk(ast.parse(source(cell)))


def imported(path: Path) -> set[str]:
    """Return the modules that a notebook imports, by their whole names."""
    names: set[str] = set()
    for node in trees(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "a notebook has no package around it"
            names.add(node.module)
    return names


def pinned() -> set[str]:
    """Return the packages of the notebook's image, by names as modules have them."""
    lines = (ROOT / "requirements/notebook.txt").read_text()
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", lines, re.MULTILINE)
    return {re.sub(r"[-_.]+", "_", name).lower() for name in names}


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def test_there_is_a_notebook_for_each_first_question() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "data-access",
        "first-plot",
        "inference",
        "scaling",
        "tracking",
    ]


@every_notebook
def test_it_is_a_notebook_of_format_4_5_that_every_python_kernel_runs(path: Path) -> None:
    book = json.loads(path.read_text())
    assert set(book) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert book["metadata"]["kernelspec"]["display_name"]
    for cell in cells(path):
        more = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert cell["cell_type"] in {"code", "markdown"}
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | more, cell["id"]
        assert all(isinstance(line, str) for line in cell["source"])
        assert source(cell).strip(), f"{cell['id']} is empty"


@every_notebook
def test_its_cells_have_ids_that_stay(path: Path) -> None:
    ids = [cell["id"] for cell in cells(path)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z-]{0,63}", name) for name in ids), "words, not chance"


@every_notebook
def test_it_holds_nothing_of_a_run(path: Path) -> None:
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
    assert all(not cell["metadata"] for cell in cells(path))


@every_notebook
def test_its_code_compiles(path: Path) -> None:
    assert cells(path, "code")
    for cell in cells(path, "code"):
        compile(source(cell), f"{path.name}, cell {cell['id']}", "exec")


@every_notebook
def test_it_imports_only_what_the_image_has(path: Path) -> None:
    for name in imported(path):
        package = name.partition(".")[0]
        if package == "casita":
            assert name.startswith(IN_THE_IMAGE), f"{name} is not in the image"
            assert find_spec(name) is not None, name
        else:
            listed = BY_ANOTHER_NAME.get(package, package.lower())
            assert package in sys.stdlib_module_names or listed in pinned(), name


@every_notebook
def test_what_it_asks_of_a_cluster_is_there(path: Path) -> None:
    asked = {
        node.func.attr
        for node in trees(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "cluster"
    }
    missing = [name for name in sorted(asked) if not hasattr(Cluster, name)]
    assert not missing


@pytest.mark.parametrize("path", [WELCOME, *NOTEBOOKS], ids=lambda path: path.name)
def test_its_links_lead_somewhere(path: Path) -> None:
    texts = [path.read_text()] if path == WELCOME else map(source, cells(path, "markdown"))
    for link in (link for text in texts for link in links(text)):
        assert link in SERVICES or (path.parent / link).is_file(), link


def test_the_welcome_page_leads_to_every_notebook_and_to_the_status_page() -> None:
    assert {*links(WELCOME.read_text())} == {STATUS_PAGE, *(path.name for path in NOTEBOOKS)}
