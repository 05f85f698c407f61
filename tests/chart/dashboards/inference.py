"""The inference servers: do requests wait, and what do they take?"""

from tests.chart.dashboards.grafana import (
    GREEN,
    ORANGE,
    RED,
    YES_OR_NO,
    Dashboard,
    Panel,
    Variable,
    stat,
)

_THIS = '{server=~"$server"}'


def _rate(metric: str, by: str = "server, model") -> str:
    return f"sum by ({by}) (rate({metric}{_THIS}[$__rate_interval]))"


def _mean(duration: str) -> str:
    """Return milliseconds of a request that was answered; Triton adds up microseconds."""
    return f"{_rate(duration)} / 1000 / ({_rate('nv_inference_request_success')} > 0)"


_NOW = [
    stat(
        "Ready",
        "Whether a replica of the server is ready.",
        f"max by (server) (casita_triton_up{_THIS})",
        base=RED,
        steps=[(GREEN, 1)],
        mappings=YES_OR_NO,
        legend="{{server}}",
        width=6,
    ),
    stat(
        "Replicas",
        "Replicas that are ready.",
        f"sum by (server) (casita_triton_up{_THIS})",
        legend="{{server}}",
        width=6,
    ),
    stat(
        "Waiting",
        "Mean time in the queue of a request that was answered within a minute. Servers are scaled "
        "by it.",
        f"casita:triton_queue_milliseconds:rate1m{_THIS}",
        unit="ms",
        steps=[(ORANGE, 50), (RED, 200)],
        legend="{{server}}",
        width=6,
    ),
    stat(
        "Models that can be used",
        "Whether every replica has the model.",
        f"min by (server, model, version) (casita_triton_model_ready{_THIS})",
        base=RED,
        steps=[(GREEN, 1)],
        mappings=YES_OR_NO,
        legend="{{server}} {{model}}/{{version}}",
        width=6,
    ),
]
_REQUESTS = [
    Panel(
        "Waiting",
        "Mean time in the queue of a request that was answered.",
        {"{{server}}": f"casita:triton_queue_milliseconds:rate1m{_THIS}"},
        unit="ms",
        minimum=0,
        steps=[(RED, 200)],
    ),
    Panel(
        "Requests",
        "Requests that were answered, whatever number of inputs each had.",
        {"{{server}} {{model}}": _rate("nv_inference_request_success")},
        unit="reqps",
        minimum=0,
    ),
    Panel(
        "Failures",
        "Requests that failed.",
        {"{{server}} {{model}}": _rate("nv_inference_request_failure")},
        unit="reqps",
        minimum=0,
    ),
]
_WORK = [
    Panel(
        "Time for a request",
        "Mean time from a request's arrival to its answer, the queue included.",
        {"{{server}} {{model}}": _mean("nv_inference_request_duration_us")},
        unit="ms",
        minimum=0,
    ),
    Panel(
        "Time of computing",
        "Mean time that the model itself took.",
        {"{{server}} {{model}}": _mean("nv_inference_compute_infer_duration_us")},
        unit="ms",
        minimum=0,
    ),
    Panel(
        "Size of a batch",
        "Mean number of inputs that a model was run for at once.",
        {
            "{{server}} {{model}}": f"{_rate('nv_inference_count')} / "
            f"({_rate('nv_inference_exec_count')} > 0)"
        },
        minimum=0,
    ),
    Panel(
        "GPUs",
        "Share of the time in which the device worked; nothing where there is none.",
        {"{{server}} {{gpu_uuid}}": f"avg by (server, gpu_uuid) (nv_gpu_utilization{_THIS})"},
        unit="percentunit",
        minimum=0,
        maximum=1,
    ),
    Panel(
        "Memory of GPUs",
        "Share of the device's memory that is used; nothing where there is none.",
        {
            "{{server}} {{gpu_uuid}}": f"max by (server, gpu_uuid) "
            f"(nv_gpu_memory_used_bytes{_THIS} / nv_gpu_memory_total_bytes{_THIS})"
        },
        unit="percentunit",
        minimum=0,
        maximum=1,
    ),
]

INFERENCE = Dashboard(
    name="inference",
    title="casita: inference",
    description="The inference servers: do requests wait, and what do they take?",
    rows={"Now": _NOW, "Requests": _REQUESTS, "Work": _WORK},
    variables=[Variable("server", "Server", "casita_triton_up", "server", everything=True)],
)
