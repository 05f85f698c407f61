"""The demonstration's third part, where SERVICES=1 asks for it: inference and tracking.

The events of the plot are scored by a model on the facility's inference server, from the session's
workers, and compared with the same model at home; the run, with its figures and its picture, is
noted at the tracking server, and found there by its user in a browser.
"""

from tests.cluster.locations import REPOSITORY

EXAMPLE = REPOSITORY / "docs/examples/inference.py"
FOLDER = "/tmp/inference"
EXPERIMENT = "dimuon"
RUN = "scores"
NOTE = f"""
import json, pathlib, mlflow
folder = pathlib.Path("{FOLDER}")
report = json.loads((folder / "report.json").read_text())
mlflow.set_experiment("{EXPERIMENT}")
with mlflow.start_run(run_name="{RUN}") as run:
    mlflow.log_params({{"data": report["data"], "model": "dimuon"}})
    mlflow.log_metrics({{name: report[name] for name in ("events", "seconds")}})
    mlflow.log_artifacts(folder)
print(json.dumps({{"experiment": run.info.experiment_id, "run": run.info.run_id}}))
"""
MEMORY_BUDGET = 8 * 2**30
