"""The data cache: does it serve, and does it help?"""

from tests.chart.dashboards.grafana import (
    GREEN,
    ORANGE,
    RED,
    YES_OR_NO,
    Dashboard,
    Panel,
    stat,
)


def _rate(metric: str, by: str = "") -> str:
    of = f" by ({by})" if by else ""
    return f"sum{of} (rate(casita_xcache_{metric}[$__rate_interval]))"


_NOW = [
    stat(
        "Hits",
        "Share of the bytes that clients read within half an hour which were in the cache.",
        "casita:cache_hits:ratio_rate30m",
        unit="percentunit",
        base=ORANGE,
        steps=[(GREEN, 0.2)],
    ),
    stat(
        "Disk",
        "Share of the cache's disk that is used; the cache purges at its high water mark.",
        "casita:cache_disk_used:ratio",
        unit="percentunit",
        steps=[(ORANGE, 0.95), (RED, 0.97)],
    ),
    stat(
        "Origin answers",
        "Asked every half minute.",
        "min by (origin) (casita_xcache_origin_up)",
        base=RED,
        steps=[(GREEN, 1)],
        mappings=YES_OR_NO,
        legend="{{origin}}",
    ),
    stat("Connections", "Connections of clients.", "sum(casita_xcache_connections)"),
    stat(
        "Silence",
        "Time since the server last told of itself, which it does every ten seconds.",
        "max(casita_xcache_silence_seconds)",
        unit="s",
        steps=[(RED, 60)],
    ),
    stat(
        "Damaged blocks",
        "Cached blocks whose checksum was wrong, since the cache began. They were fetched anew.",
        "sum(casita_xcache_checksum_errors_total)",
        steps=[(ORANGE, 1)],
    ),
]
_READS = [
    Panel(
        "Bytes that clients read",
        "`hit` from the cache, fetched ahead included; `miss` waited for; `bypass` past the cache; "
        "`stored` are written to the disk.",
        {"{{kind}}": _rate("bytes_total", "kind")},
        unit="Bps",
        minimum=0,
    ),
    Panel(
        "Files that were closed",
        "`hit` if nothing came from the origin.",
        {"{{result}}": _rate("accesses_total", "result")},
        unit="ops",
        stacked=True,
        minimum=0,
    ),
    Panel(
        "Traffic with clients",
        "Bytes on the wire.",
        {"sent": _rate("sent_bytes_total"), "received": _rate("received_bytes_total")},
        unit="Bps",
        minimum=0,
    ),
]
_FAULTS = [
    Panel(
        "Logins",
        "Clients whose token was good, and whose was not. More refused than good ones: operator "
        "and cache have different keys.",
        {"good": _rate("authenticated_total"), "refused": _rate("auth_failures_total")},
        unit="ops",
        minimum=0,
    ),
    Panel(
        "Opens and errors",
        "Opens by clients, and requests that were answered with an error.",
        {"opens": _rate("opens_total"), "errors": _rate("errors_total")},
        unit="ops",
        minimum=0,
    ),
    Panel(
        "At the origin",
        "Opens of files at the origin, and those that failed.",
        {"opens": _rate("origin_opens_total"), "failed": _rate("origin_open_errors_total")},
        unit="ops",
        minimum=0,
    ),
    Panel(
        "Disk",
        "The file system of the cached files, with all that is on it.",
        {"{{state}}": "sum by (state) (casita_xcache_disk_bytes)"},
        unit="bytes",
        minimum=0,
    ),
]

CACHE = Dashboard(
    name="cache",
    title="casita: cache",
    description="The data cache: does it serve, and does it help?",
    rows={"Now": _NOW, "Reads": _READS, "Faults": _FAULTS},
)
