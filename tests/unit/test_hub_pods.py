"""What is told of a pod whose image nobody has."""

from typing import Any

import pytest

from casita.hub.pods import missing_image


def pod(kind: str = "containerStatuses", **waiting: str) -> dict[str, Any]:
    container = {"name": "notebook", "image": "example.org/none:1", "state": {"waiting": waiting}}
    return {"status": {"phase": "Pending", kind: [container]}}


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
def test_the_image_and_the_nodes_own_words_are_told(kind: str) -> None:
    told = missing_image(pod(kind, reason="ErrImagePull", message="not found"))
    assert told == "example.org/none:1: not found"


def test_without_words_the_reason_has_to_do() -> None:
    assert missing_image(pod(reason="InvalidImageName")) == "example.org/none:1: InvalidImageName"


@pytest.mark.parametrize(
    "well",
    [
        None,
        {},
        {"status": {"phase": "Pending"}},
        pod(reason="ContainerCreating"),
        {"status": {"containerStatuses": [{"name": "a", "image": "b", "state": {"running": {}}}]}},
    ],
)
def test_a_pod_that_starts_has_its_image(well: dict[str, Any] | None) -> None:
    assert missing_image(well) == ""
