"""The demonstration's third part, where SERVICES=1 asks for it: inference and tracking.

Events are scored by a model on the facility's inference server, from the session's workers, and
compared with the same model at home. What came of it, and the plot, are noted as a run at the
tracking server, where the session's user finds them in a browser.
"""

import json
import re
from pathlib import Path
from typing import Final

from playwright.async_api import expect

from tests.cluster import cgroups
from tests.cluster.locations import REPOSITORY
from tests.cluster.steps import Steps
from tests.support import kubectl
from tests.support.browser import browser
from tests.support.hub_pages import HUB, log_in

EXAMPLES: Final = REPOSITORY / "docs/examples"
RESULTS: Final = "/tmp/inference"
RUN: Final = "muon pairs"
NOTE: Final = """
import json, pathlib, sys, mlflow
facts = json.loads(pathlib.Path("{results}/inference.json").read_text())
mlflow.set_experiment("demonstration of {user}")
with mlflow.start_run(run_name="{run}") as run:
    mlflow.log_params({{"model": facts["model"], "files": len(facts["events"])}})
    mlflow.log_metrics({{"events": sum(facts["events"].values()), "seconds": facts["seconds"]}})
    for name, score in facts["mean_score"].items():
        mlflow.log_metric(f"mean score {{name}}", score)
    mlflow.log_artifacts("{plots}")
print(json.dumps([run.info.experiment_id, run.info.run_id]))
"""
MEMORY_BUDGET: Final = 8 * 2**30
"""Of all pods together."""


async def show_services(
    namespace: str, pod: str, user: str, plots: str, output: Path, steps: Steps
) -> dict[str, float | int]:
    """Score events, note the run, and look at it; keep what was made in `output`.

    Args:
        namespace: the session's.
        pod: its notebook.
        user: its user.
        plots: folder in the pod with what the first part made.
        output: where facts and a picture are left.
        steps: where progress is told.

    Returns:
        Figures, by what they are.
    """
    with steps.step("the session's workers score events on the inference server"):
        model = "models/dimuon/1/model.py"
        for name, path in (("inference.py", "inference.py"), (model, "model.py")):
            content = (EXAMPLES / name).read_bytes()
            kubectl.write_file(namespace, pod, f"/tmp/{path}", content)
        options = ("--model", "/tmp/model.py", "--output", RESULTS, "--workers", "2")
        kubectl.execute(namespace, pod, "python", "/tmp/inference.py", *options, timeout=600)
        (made,) = kubectl.fetch(namespace, pod, RESULTS, output)
    facts = json.loads(made.read_text())
    with steps.step("the run is noted at the tracking server, and found in a browser"):
        note = NOTE.format(results=RESULTS, plots=plots, user=user, run=RUN)
        said = kubectl.execute(namespace, pod, "python", "-c", note)
        experiment, run = json.loads(said.splitlines()[-1])
        await _look(user, f"{HUB}/services/mlflow/#/experiments/{experiment}/runs/{run}", output)
    figures = {
        "events scored by the inference server": sum(facts["events"].values()),
        "largest difference to the model at home": facts["largest_difference"],
        "seconds that scoring took": facts["seconds"],
    }
    if memory := cgroups.memory_bytes():
        steps.say(f"memory of all pods: {memory / 2**30:.1f} GiB of {MEMORY_BUDGET / 2**30:g}")
        figures["memory of all pods, MiB"] = round(memory / 2**20)
    return figures


async def _look(user: str, page_of_the_run: str, output: Path) -> None:
    async with browser() as page:
        await log_in(page, user)
        # Who logs in for the first time is asked for a profile; MLflow needs no server.
        await page.wait_for_url(re.compile(r"/hub/"))
        await page.goto(page_of_the_run)
        await expect(page.get_by_text("mean score").first).to_be_visible(timeout=60_000)
        await page.screenshot(path=output / "tracking.png", animations="disabled")
