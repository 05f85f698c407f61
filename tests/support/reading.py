"""Programs for a session's pods that read from the data cache, for ``python -c``."""

from typing import Final

FILES: Final = {
    "dy": "root://xcache//store/nanoaod/nano_dy.root",
    "data": "root://xcache//store/nanoaod/nano_dimuon.root",
    "tt": "root://xcache//store/nanoaod/nano_tt_v12.root",
}

READ_EVERYWHERE: Final = f"""
import json
import awkward as ak, uproot
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from distributed import Client

class Schema(NanoAODSchema):
    warn_missing_crossrefs = False

class Count(processor.ProcessorABC):
    def process(self, events):
        return {{events.metadata["dataset"]: int(ak.sum(ak.num(events.Muon)))}}
    def postprocess(self, accumulator):
        pass

def count(url):
    with uproot.open(url + ":Events") as events:
        return int(ak.sum(events["nMuon"].array()))

files = {FILES!r}
client = Client()
client.wait_for_workers(1, timeout=120)
run = processor.Runner(
    executor=processor.DaskExecutor(client=client, status=False, retries=0),
    schema=Schema, chunksize=50, metadata_cache={{}},
)
fileset = {{name: {{"files": {{url: "Events"}}}} for name, url in files.items()}}
print(json.dumps({{
    "notebook": {{name: count(url) for name, url in files.items()}},
    "worker": {{name: client.submit(count, url).result() for name, url in files.items()}},
    "coffea": dict(run(fileset, processor_instance=Count())),
}}))
"""
"""Counts the muons of each file: by uproot here and on a worker, by coffea on all workers."""

SHORT_LIVES: Final = """
import json, os, pathlib, threading, time
os.environ["XDG_RUNTIME_DIR"] = "/tmp/own"
from casita.access.files import make_private_folder, write_private
from casita.access.filesystem import XRootDFileSystem
from fsspec_xrootd import XRootDFileSystem as Stock

plan = json.loads(pathlib.Path("/tmp/tokens.json").read_text())
folder = pathlib.Path("/tmp/own")
make_private_folder(folder)
ended = threading.Event()
shown = 0

def show():
    global shown
    while shown < len(plan["tokens"]) and not ended.is_set():
        write_private(folder / f"bt_u{os.getuid()}", plan["tokens"][shown].encode())
        shown += 1
        ended.wait(plan["started"] + shown * plan["renew_every"] - time.time())

threading.Thread(target=show).start()
while not shown:
    time.sleep(0.01)
systems = {"casita": XRootDFileSystem("xcache:1094"), "stock": Stock("xcache:1094")}
reads, failures = dict.fromkeys(systems, 0), {name: [] for name in systems}
held = systems["casita"].open("/store/small/0")
number = 0
while time.time() < plan["started"] + plan["seconds"]:
    number += 1
    for name, system in systems.items():
        try:
            with system.open(f"/store/small/{number % 40}") as file:
                assert len(file.read(1000)) == 1000
            reads[name] += 1
        except OSError as error:
            failures[name].append([round(time.time() - plan["started"], 1), str(error)[:200]])
    assert len(held._fetch_range(number % 1000, number % 1000 + 1000)) == 1000
    time.sleep(0.1)
ended.set()
print(json.dumps({"reads": reads, "failures": failures, "shown": shown}))
"""
"""Opens file after file by tokens that were minted beforehand, each shown in its time; and reads on
in one file that was opened by the first of them. Beside it the stock file system does the same."""

READ_ON: Final = """
import hashlib, json, os, pathlib, time
import fsspec, uproot
from distributed import Client

def read_on(stop, seconds):
    "Read until told to end, then a little; return how often, what failed, by how many tokens."
    import hashlib, os, pathlib, time
    import fsspec, uproot
    token = pathlib.Path(os.environ["XDG_RUNTIME_DIR"], f"bt_u{os.getuid()}")
    url = "root://xcache//store/nanoaod/nano_dy.root"
    reads, failures, tokens, number, left = 0, [], [], 0, 6
    long_lived = uproot.open(url)
    # Told to end, it reads on for a while: by the last token, which lay there before it was told.
    while left and time.monotonic() < seconds:
        number, left = number + 1, left - stop()
        if (seen := hashlib.sha256(token.read_bytes()).hexdigest()[:12]) not in tokens:
            tokens.append(seen)
        try:
            with fsspec.open(f"root://xcache//store/small/{number % 40}") as file:
                assert len(file.read(1000)) == 1000
            with uproot.open(url + ":Events") as events:
                assert len(events["nMuon"].array(library="np")) > 0
            assert len(long_lived["Events/nElectron"].array(library="np")) > 0
            reads += 3
            pathlib.Path("/tmp/reading").touch()
        except OSError as error:
            failures.append(f"{type(error).__name__}: {error}"[:200])
        time.sleep(0.2)
    return {"reads": reads, "failures": failures, "tokens": tokens}

client = Client()
client.wait_for_workers(1, timeout=120)

def on_worker():
    from distributed import Variable, get_worker
    said = Variable("stop")
    last = [0.0, False]
    def stop():
        # Asked now and then: a variable is a question to the scheduler.
        if time.monotonic() - last[0] > 2:
            last[:] = time.monotonic(), said.get(timeout=10)
        return last[1]
    import time
    return read_on(stop, time.monotonic() + 3600)

from distributed import Variable
variable = Variable("stop")
variable.set(False)
future = client.submit(on_worker, pure=False)
here = read_on(pathlib.Path("/tmp/stop").exists, time.monotonic() + 3600)
variable.set(True)
print(json.dumps({"notebook": here, "worker": future.result(timeout=60)}))
"""
"""Reads in the notebook and on a worker, until there is a file ``/tmp/stop`` in the notebook.
A file ``/tmp/reading`` tells in each of their pods that reading has begun."""

FINGERPRINT: Final = """
import hashlib, os, pathlib
folder = pathlib.Path(os.environ.get("XDG_RUNTIME_DIR") or os.environ["CASITA_RUNTIME_DIRECTORY"])
print(hashlib.sha256((folder / f"bt_u{os.getuid()}").read_bytes().strip()).hexdigest()[:12])
"""
"""Tells one token from another, for a pod of the session."""

PROCESSES: Final = """
import pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        try:
            print((process / name).read_bytes().decode(errors="replace"))
        except OSError:
            pass
"""
"""Prints environments and arguments of all processes of a container that it may look at."""

TIMED: Final = """
import json, sys, time
import fsspec

began, size = time.perf_counter(), 0
with fsspec.open(sys.argv[1], cache_type="none") as file:
    while block := file.read(8 * 2**20):
        size += len(block)
print(json.dumps({"bytes": size, "seconds": time.perf_counter() - began}))
"""
"""Reads the file of its first argument from beginning to end; tells how long that took."""
