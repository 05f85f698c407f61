"""Columns are delivered by the real ServiceX, where its source is at hand to build it from."""

import json
from collections.abc import Callable

import pytest

from tests.cluster.access import image_references
from tests.cluster.servicex_source import VARIABLE
from tests.e2e.conftest import NAMESPACE, MakeSession, RunIn, ready
from tests.facility import has_servicex
from tests.support import kubectl
from tests.support.cluster import SESSION, Cluster, condition, eventually

SERVICEX = "casita-servicex"
TRANSFORMERS = "casita-transformers"
FILES = ("nano_dimuon.root", "nano_dy.root")
DELIVER = """
import json, os, pathlib
import uproot
from casita.access.columns import link_configuration
link_configuration(pathlib.Path.home(), os.environ)
from servicex import General, Sample, ServiceXSpec, dataset, deliver, query
files = ["root://xcache//store/nanoaod/" + name for name in {files!r}]
queries = {{
    "uproot-raw": query.UprootRaw([{{"treename": "Events", "filter_name": ["Muon_pt", "nMuon"],
                                     "cut": "nMuon>=2"}}]),
    "uproot": query.FuncADL_Uproot().FromTree("Events").Select(
        lambda event: {{"Muon_pt": event["Muon_pt"], "nMuon": event["nMuon"]}}),
}}
general = General(Codegen={codegen!r}, OutputFormat="root-ttree", Delivery="LocalCache")
sample = Sample(Name="muons", Dataset=dataset.FileList(files), Query=queries[{codegen!r}],
                IgnoreLocalCache=True)
delivered = deliver(ServiceXSpec(General=general, Sample=[sample]))["muons"]

def columns(paths):
    found = []
    for path in paths:
        with uproot.open(path) as file:
            tree = next(file[key] for key in file.keys() if file[key].classname == "TTree"
                        and "Muon_pt" in file[key])
            arrays = tree.arrays(["Muon_pt", "nMuon"])
            found += [sorted(map(float, event)) for event in
                      arrays["Muon_pt"][arrays["nMuon"] >= 2].tolist()]
    return sorted(found)

served, own = columns(map(str, delivered)), columns(files)
print(json.dumps({{"files": len(delivered), "events": len(served), "equal": served == own}}))
"""
ASK = """
import json, pathlib, urllib.error, urllib.request, yaml
(endpoint,) = yaml.safe_load(pathlib.Path("/run/casita/servicex.yaml").read_text())["api_endpoints"]
url, refresh = endpoint["endpoint"].rstrip("/"), endpoint["token"]

def ask(method, path, token, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

access = ask("POST", "/token/refresh", refresh)[1]["access_token"]
"""
OTHERS = (
    ASK
    + """
mine = ask("GET", "/servicex/transformation", access)[1]["requests"]
theirs = ask("GET", "/servicex/transformation/__REQUEST__", access)[0]
internal = ask("PUT", "/servicex/internal/transformation/__REQUEST__/files", access, dict())[0]
science = ask("POST", "/servicex/transformation", access, {
    "file-list": ["root://xcache//store/nanoaod/nano_dy.root"], "codegen": "uproot-raw",
    "selection": "[]", "result-format": "root-file", "result-destination": "object-store",
    "image": "docker.io/library/debian:latest"})
print(json.dumps([len(mine), theirs, internal, science[0], ask("GET", "/token/refresh", "")[0]]))
"""
)
LAST = (
    ASK
    + """
found = ask("GET", "/servicex/transformation", access)[1]["requests"]
detail = ask("GET", "/servicex/transformation/" + found[-1]["request_id"], access)[1]
print(json.dumps({"id": found[-1]["request_id"], "keys": detail["minio-access-key"]}))
"""
)


@pytest.fixture(autouse=True)
def _servicex() -> None:
    if not has_servicex(image_references()):
        pytest.skip(f"LEFT OUT: the real ServiceX; {VARIABLE} names no repository of its source")


@pytest.mark.parametrize("codegen", ["uproot-raw", "uproot"])
async def test_a_query_in_a_notebook_returns_the_columns_of_the_files(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn], codegen: str
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    said = json.loads(run(DELIVER.format(files=FILES, codegen=codegen), 240).splitlines()[-1])
    assert said["events"] > 30
    assert said == {"files": len(FILES), "events": said["events"], "equal": True}

    def gone() -> bool:
        return not cluster.items("apps/v1", "Deployment", TRANSFORMERS)

    await eventually(gone, 120, what="its transformers end")


async def test_requests_are_their_users_and_what_upstream_leaves_open_is_closed(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    alice, bob = make_session("alice", 0), make_session("bob", 0)
    for name in (alice, bob):
        await ready(cluster, name)
    run = notebook(alice)
    run(DELIVER.format(files=FILES[:1], codegen="uproot-raw"), 240)
    last = json.loads(run(LAST))
    assert last["keys"] == "casita-alice"
    found = json.loads(notebook(bob)(OTHERS.replace("__REQUEST__", last["id"])))
    own, theirs, internal, science, nobody = found
    assert own == 0
    assert (theirs, internal, nobody) == (404, 403, 404), found
    assert 400 <= science < 500, found


async def test_a_session_that_has_ended_has_no_columns_any_more(
    cluster: Cluster, make_session: MakeSession, notebook: Callable[..., RunIn]
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)
    run = notebook(name)
    run(ASK)
    kubectl.run("-n", NAMESPACE, "delete", "asess", name)

    def refused() -> bool:
        try:
            run(ASK)
        except kubectl.KubectlError:
            return True
        return False

    await eventually(refused, 60, what="its token is refused", pause=2)


@pytest.mark.parametrize("part", ["database", "store"])
async def test_what_is_away_behind_it_is_named_and_sessions_are_unaffected(
    cluster: Cluster, make_session: MakeSession, part: str
) -> None:
    name = make_session(replicas=0)
    await ready(cluster, name)

    def told(status: str) -> dict[str, str]:
        session = cluster.get(*SESSION, name, NAMESPACE)
        assert condition(session, "Ready")["status"] == "True"
        found = condition(session, "ServicesReady")
        assert found["status"] == status, found
        return found

    await eventually(lambda: told("True"), 120)
    scale = ("-n", SERVICEX, "scale", f"deployment/{SERVICEX}-{part}")
    kubectl.run(*scale, "--replicas=0")
    try:
        found = await eventually(lambda: told("False"), 180, what="the session says so", pause=1)
        assert found["reason"] == "ColumnsUnreachable"
        assert part in found["message"], found
    finally:
        kubectl.run(*scale, "--replicas=1")
    await eventually(lambda: told("True"), 180, what="the session says that it is back", pause=1)
