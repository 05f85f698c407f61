"""A site's Prometheus for tests: it scrapes by the job that the documentation tells admins of."""

import re
import textwrap
from typing import Final

from tests.cluster import addons
from tests.cluster.locations import REPOSITORY
from tests.support import kubectl
from tests.support.prometheus import NAMESPACE

PAGE: Final = REPOSITORY / "docs/admin/monitoring.md"
ROLLOUT: Final = ("-n", NAMESPACE, "rollout")


def manifest(image: str) -> str:
    """Return its objects, in a namespace of its own, as YAML."""
    jobs = textwrap.indent(documented_jobs(), " " * 4).strip()
    return addons.manifest("prometheus", image=image, jobs=jobs)


def documented_jobs() -> str:
    """Return ``scrape_configs`` as the documentation has it."""
    found = re.search(r"```yaml\n(scrape_configs:.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, f"{PAGE} has no scrape_configs"
    return found[1]


def take_rules() -> None:
    """Have it read the chart's rules, which it finds when it starts; wait until it answers."""
    kubectl.run(*ROLLOUT, "restart", "deployment/prometheus")
    kubectl.run(*ROLLOUT, "status", "deployment/prometheus", "--timeout=120s")
