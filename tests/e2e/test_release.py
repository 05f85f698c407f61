"""The release as an admin has it in hand."""

from tests.facility import NAMESPACE, RELEASE, run_helm
from tests.support import kubectl


def test_helm_test_passes() -> None:
    said = run_helm("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "2m")
    assert "Succeeded" in said, said


def test_no_secret_material_is_in_logs_or_events() -> None:
    told = [
        kubectl.run("-n", NAMESPACE, "logs", "deploy/casita-operator", "--tail=-1"),
        kubectl.run("get", "events", "--all-namespaces", "-o", "yaml"),
        kubectl.run("get", "asess", "--all-namespaces", "-o", "yaml"),
    ]
    for text in told:
        assert b"PRIVATE KEY" not in text
        assert b"LS0tLS1CRUdJTi" not in text, "base64 of a PEM file"
