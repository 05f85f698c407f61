"""What time does: leaves are renewed before they end, and a session lives no longer than allowed.

Days pass by a clock that the test moves; the look that a timer would take then is asked for.
"""

from datetime import UTC, datetime

from casita.credentials.verify import load_certificate, verify_leaf
from casita.credentials.x509 import Role
from casita.sessions.observed import parse_time
from tests.controlplane.conftest import Operate, SiteWith
from tests.support.bed import ROLES, Bed
from tests.support.clock import Clock
from tests.support.cluster import condition, eventually

DAY = 86_400
LEAVES = ("scheduler", "worker", "client")


async def test_leaves_are_renewed_at_two_thirds_of_their_life_by_the_same_authority(
    bed: Bed, operate: Operate, site_with: SiteWith
) -> None:
    clock = Clock()
    site = site_with(credentials={"leafSeconds": 3 * DAY})
    with operate(site, clock=clock) as operator:
        bed.create(maxLifetimeSeconds=20 * DAY)
        await bed.until_issued()
        before, scheduler = bed.serials(), bed.uid("Pod", "scheduler")
        due = [parse_time(c["renewalTime"]) for c in bed.status()["credentials"][1:]]
        start = datetime.now(UTC)
        assert all(1.8 * DAY < (time - start).total_seconds() <= 2 * DAY for time in due)

        clock.forward(days=1.7)
        operator.look(bed.namespace)
        bed.create("bob")
        await bed.until_issued("bob")
        assert bed.serials() == before

        clock.forward(days=0.4)
        operator.look(bed.namespace)
        await eventually(lambda: all(bed.serials()[role] != before[role] for role in LEAVES))
        after = bed.status()
    assert bed.serials()["authority"] == before["authority"]
    assert bed.uid("Pod", "scheduler") == scheduler
    assert condition(bed.session(), "CredentialsReady")["status"] == "True"
    assert all(parse_time(c["renewalTime"]) > clock() for c in after["credentials"][1:])
    authority = bed.files("authority")["tls.crt"]
    for role in LEAVES:
        files = bed.files(role)
        both = files.get("usercert.pem", b"")
        certificate, key = files.get("tls.crt", both), files.get("tls.key", both)
        leaf = verify_leaf(certificate, key, authority, clock(), role=Role(role))
        assert leaf.serial == bed.serials()[role]


async def test_an_operator_that_was_away_renews_what_became_due(bed: Bed, operate: Operate) -> None:
    clock = Clock()
    with operate():
        bed.create(maxLifetimeSeconds=20 * DAY)
        await bed.until_issued()
        before = bed.serials()
    clock.forward(days=6)
    with operate(clock=clock):
        await eventually(lambda: all(bed.serials()[role] != before[role] for role in LEAVES))
    assert bed.serials()["authority"] == before["authority"]


async def test_the_authority_outlives_the_session_by_a_margin_and_no_leaf_outlives_it(
    bed: Bed, operate: Operate
) -> None:
    with operate():
        bed.create(maxLifetimeSeconds=DAY)
        await bed.until_issued()
    authority = load_certificate(bed.files("authority")["tls.crt"])
    left = (authority.not_valid_after_utc - datetime.now(UTC)).total_seconds()
    assert 1.99 * DAY < left <= 2 * DAY
    for credential in bed.status()["credentials"]:
        assert parse_time(credential["notAfter"]) <= authority.not_valid_after_utc


async def test_a_session_at_the_end_of_its_life_stops_and_stays_so_until_its_run_id_changes(
    bed: Bed, operate: Operate
) -> None:
    clock = Clock()
    with operate(clock=clock) as operator:
        bed.create(maxLifetimeSeconds=3600)
        await bed.until_issued()
        before = bed.serials()
        clock.forward(seconds=3601)
        operator.look(bed.namespace)
        await bed.until("Ready", "False", "LifetimeExceeded")
        await eventually(lambda: not bed.children())
        bed.edit(replicas=2)
        await bed.until("Ready", "False", "LifetimeExceeded")
        assert not bed.children()
    with operate(clock=clock):
        bed.edit(replicas=3)
        await bed.until("Ready", "False", "LifetimeExceeded")
        assert not bed.children()
        bed.edit(runId="2")
        await bed.until_issued()
        assert set(bed.serials()) == set(ROLES)
        assert not set(bed.serials().values()) & set(before.values())
    assert [e["reason"] for e in bed.events()].count("LifetimeExceeded") == 1


async def test_a_session_stopped_by_its_life_forgets_it_when_it_is_stopped_by_hand(
    bed: Bed, operate: Operate
) -> None:
    clock = Clock()
    with operate(clock=clock) as operator:
        bed.create(maxLifetimeSeconds=3600)
        await bed.until_issued()
        clock.forward(seconds=3601)
        operator.look(bed.namespace)
        await bed.until("Ready", "False", "LifetimeExceeded")
        bed.edit(lifecycle="Stopped")
        await bed.until("Ready", "False", "Stopped")
        bed.edit(lifecycle="Running")
        await bed.until_issued()


async def test_a_longer_life_is_taken_up_while_the_session_runs(bed: Bed, operate: Operate) -> None:
    clock = Clock()
    with operate(clock=clock) as operator:
        bed.create(maxLifetimeSeconds=3600)
        await bed.until_issued()
        bed.edit(maxLifetimeSeconds=7200)
        await bed.until_issued()
        clock.forward(seconds=3700)
        operator.look(bed.namespace)
        bed.create("bob")
        await bed.until_issued("bob")
        assert condition(bed.session(), "CredentialsReady")["status"] == "True"
        clock.forward(seconds=3700)
        operator.look(bed.namespace)
        await bed.until("Ready", "False", "LifetimeExceeded")
