"""The parts of the test clusters that decide something."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tests.cluster import (
    addons,
    binaries,
    cgroups,
    kind,
    kubeconfig,
    lock,
    packages,
    ports,
    process,
    wait,
)
from tests.cluster.certificates import Authority
from tests.cluster.choose import choice
from tests.cluster.errors import ClusterError
from tests.cluster.relay import Rule
from tests.cluster.steps import Steps


@pytest.mark.parametrize(
    ("asked", "already", "usable", "chosen"),
    [
        ("auto", None, True, "kind"),
        ("auto", None, False, "embedded"),
        ("auto", "current", True, "current"),
        ("embedded", None, True, "embedded"),
        ("kind", "kind", False, "kind"),
    ],
)
def test_the_kind_of_cluster_is_what_was_asked_or_what_is_possible(
    asked: str, already: str | None, usable: bool, chosen: str
) -> None:
    assert choice(asked, already, lambda: usable) == chosen


@pytest.mark.parametrize(
    ("asked", "already", "complaint"),
    [("minikube", None, "minikube"), ("kind", "embedded", "CLUSTER=embedded python -m")],
)
def test_a_choice_that_cannot_be_is_refused(
    asked: str, already: str | None, complaint: str
) -> None:
    with pytest.raises(ClusterError, match=complaint):
        choice(asked, already, lambda: True)


def test_the_clusters_certificates_pass_strict_checks(tmp_path: Path) -> None:
    authority = Authority("test")
    ca, _ = authority.pair.write(tmp_path, "ca")
    for name, pair in {
        "server": authority.server("s", ["localhost", "127.0.0.1"]),
        "client": authority.client("alice", ["physicists", "cms"]),
    }.items():
        leaf, key = pair.write(tmp_path, name)
        strict = ["openssl", "verify", "-x509_strict", "-CAfile", str(ca), str(leaf)]
        assert "OK" in subprocess.run(strict, capture_output=True, text=True, check=True).stdout
        assert key.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    authority = Authority("test")
    path = kubeconfig.write(
        tmp_path / "new" / "kubeconfig",
        server="https://127.0.0.1:1",
        authority=authority.pair.certificate,
        client=authority.client("alice"),
        user="alice",
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert yaml.safe_load(path.read_text())["current-context"] == "casita"


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("go1.26.8", True),
        ("go1.27rc1", True),
        ("go2.0", True),
        ("go1.25.9", False),
        ("devel", True),
    ],
)
def test_old_compilers_are_refused(version: str, enough: bool) -> None:
    assert binaries.new_enough(version) is enough


def test_a_program_is_built_anew_for_another_compiler_or_other_flags() -> None:
    pause = binaries.PROGRAMS["pause"]
    other = binaries.Program("pause", variables=("main.x=1",))
    keys = {binaries.key(pause, "go1"), binaries.key(pause, "go2"), binaries.key(other, "go1")}
    assert len(keys) == 3
    assert binaries.key(pause, "go1") in keys


def test_the_zones_names_lead_to_the_gateway() -> None:
    objects = list(
        yaml.safe_load_all(
            addons.dns("image:1", address="10.96.0.10", gateway="172.30.0.2", domain="af.test")
        )
    )
    corefile = next(o for o in objects if o["kind"] == "ConfigMap")["data"]["Corefile"]
    assert r"match ^(hub|[^.]+\.dask)\.af\.test\.$" in corefile
    assert 'answer "{{ .Name }} 60 IN A 172.30.0.2"' in corefile
    service = next(o for o in objects if o["kind"] == "Service")
    assert service["spec"]["clusterIP"] == "10.96.0.10"


def test_kinds_name_server_gets_the_zone_once_whatever_it_had() -> None:
    stock = ".:53 {\n    kubernetes cluster.local\n}\n"
    first = kind.with_zone(stock, kind.zone("af.test", "172.18.0.2"))
    assert first.endswith(stock)
    assert kind.with_zone(first, kind.zone("af.test", "172.18.0.2")) == first
    second = kind.with_zone(first, kind.zone("af.test", "172.18.0.3"))
    assert "172.18.0.2" not in second
    assert second.endswith(stock)


@pytest.mark.parametrize(
    ("said", "old"),
    [("0.23.0", True), ("v0.24.0", False), ("0.31.0-alpha", False), ("1.0.0", False)],
)
def test_a_kind_without_network_policies_is_too_old(said: str, old: bool) -> None:
    assert (kind.version(said) < kind.OLDEST) is old


def test_kinds_gateway_is_on_the_loopback_only() -> None:
    (node,) = yaml.safe_load(yaml.safe_dump(kind.configuration()))["nodes"]
    assert {m["listenAddress"] for m in node["extraPortMappings"]} == {"127.0.0.1"}
    assert "@sha256:" in node["image"]


def test_a_relays_rule_reads_as_it_is_written() -> None:
    rule = Rule.parse("6443=127.0.0.1:16443")
    assert rule == Rule(6443, "127.0.0.1", 16443)
    assert Rule.parse(str(rule)) == rule


def test_control_groups_are_found_on_both_versions(tmp_path: Path) -> None:
    for name in ("memory", "cpu"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuacct").symlink_to("cpu")
    assert [path.name for path in cgroups.hierarchies(tmp_path)] == ["cpu", "memory"]
    (tmp_path / "cgroup.controllers").touch()
    assert cgroups.hierarchies(tmp_path) == [tmp_path]


def test_ports_are_free_and_different() -> None:
    first, second = ports.free(2)
    assert first != second
    assert ports.free(1, preferred=first) == [first]


def test_missing_programs_are_named_by_their_package() -> None:
    assert packages.missing({"sh": "dash", "/no/such/file": "nothing"}) == ["nothing"]


def test_a_process_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    log = tmp_path / "log"
    started = process.start("sleeper", ["sh", "-c", "echo begun; sleep 60 & wait"], log)
    wait.until(lambda: log.read_text() == "begun\n", "log written", seconds=10)
    wait.until(lambda: len(process.children(started.pid)) == 1, "child seen", seconds=10)
    (child,) = process.children(started.pid)
    recycled = process.Process("other", started.pid, started.started + 1, str(log))
    assert started.alive()
    assert not recycled.alive()
    recycled.kill()
    assert started.alive()
    started.kill()
    assert not started.alive()
    assert started.last_lines() == "begun"
    os.kill(child, signal.SIGKILL)
    os.waitpid(started.pid, 0)


def test_the_register_survives_the_process_that_wrote_it(tmp_path: Path) -> None:
    register = process.Register(tmp_path / "processes")
    assert register.all() == []
    entry = process.Process("etcd", 1, 2, "log")
    register.add(entry)
    assert process.Register(tmp_path / "processes").all() == [entry]


def test_waiting_ends_at_the_deadline_or_at_a_failure() -> None:
    with pytest.raises(ClusterError, match="never"):
        wait.until(lambda: False, "never", seconds=0.05, every=0.01)
    with pytest.raises(ClusterError, match="it died"):
        wait.until(lambda: False, "x", seconds=60, failed=lambda: "it died")


def test_two_commands_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    order: list[str] = []

    def second() -> None:
        with lock.alone(Steps(quiet=True)):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock.alone(Steps(quiet=True)):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.skipif(os.geteuid() != 0, reason="moving into a network namespace needs root")
def test_the_relay_ends_with_what_it_leads_to(tmp_path: Path) -> None:
    (listening,) = ports.free(1)
    far = process.start("far", ["sleep", "60"], tmp_path / "far.log")
    rule = Rule(listening, "127.0.0.1", 1)
    command = [sys.executable, "-m", "tests.cluster.relay", str(far.pid), str(rule)]
    relay = process.start("relay", command, tmp_path / "log")
    wait.until(lambda: not ports.is_free(listening), "relay listens", seconds=20)
    far.kill()
    wait.until(lambda: not relay.alive(), "relay ended", seconds=20)
    os.waitpid(far.pid, 0)
    os.waitpid(relay.pid, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="moving into a network namespace needs root")
def test_the_relay_carries_bytes_both_ways_and_says_the_end(tmp_path: Path) -> None:
    import socket

    listening, server_port = ports.free(2)
    with socket.create_server(("127.0.0.1", server_port)) as server:
        rule = Rule(listening, "127.0.0.1", server_port)
        command = [sys.executable, "-m", "tests.cluster.relay", str(os.getpid()), str(rule)]
        relay = process.start("relay", command, tmp_path / "log")
        try:
            wait.until(lambda: not ports.is_free(listening), "relay listens", seconds=20)
            with socket.create_connection(("127.0.0.1", listening)) as client:
                far, _ = server.accept()
                with far:
                    client.sendall(b"question")
                    client.shutdown(socket.SHUT_WR)
                    assert far.makefile("rb").read() == b"question"
                    far.sendall(b"answer")
                    far.shutdown(socket.SHUT_WR)
                    assert client.makefile("rb").read() == b"answer"
        finally:
            relay.kill()
            os.waitpid(relay.pid, 0)
