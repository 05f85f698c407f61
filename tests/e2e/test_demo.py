"""What a newcomer sees first."""

import json

from tests import demo, demo_services
from tests.cluster.locations import REPOSITORY


def test_the_demonstration_turns_events_into_a_plot_equal_to_the_local_one() -> None:
    assert demo.main() == 0
    output = REPOSITORY / "build/demo"
    report = json.loads((output / "report.json").read_text())
    assert report["identical"], "the histograms differ from those made locally"
    assert report["facility"]["Kubernetes API requests by the operator"] < 40
    cold, warm = report["cache"]
    assert cold["fetched from the origin"] >= demo.LARGE_BYTES
    assert warm["fetched from the origin"] == 0
    assert warm["files served as hits"] >= 1
    assert (output / "dimuon.png").read_bytes().startswith(b"\x89PNG")
    assert report["facility"]["events scored by the inference server"] > 50
    assert (
        report["facility"].get("memory of all pods, MiB", 0) < demo_services.MEMORY_BUDGET / 2**20
    )
    assert (output / "tracking.png").read_bytes().startswith(b"\x89PNG")
