"""How far a campaign is: what is stored, what runs where, what waits, what went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pet_flows.launch.heartbeat import ALIVE, HEARTBEAT_SAID
from pet_flows.records.keys import FIRST
from pet_flows.store import counts
from pet_flows.store.clock import MISSED, witnessed

if TYPE_CHECKING:
    from fireworks import LaunchPad

    from pet_flows.store.results import ResultStore

#: over which the rate is taken
RECENT = timedelta(minutes=30)
#: running fireworks, and reasons, that are listed
MOST = 20


@dataclass(frozen=True)
class Running:
    """A firework that a worker has."""

    fw_id: int
    name: str
    host: str
    minutes: float
    """since it was begun"""
    silent: float | None
    """s without a sign of life, by the clock of the server, where there should be one"""


@dataclass
class Status:
    """Of one campaign."""

    campaign: str
    n_structures: int | None
    """None where it was never registered as a whole"""
    n_potentials: int
    records: dict[str, Counter[str]]
    """property → how many records are in each state, in the order they are computed"""
    n_records: int | None = None
    """that were asked for; None where nobody counted them"""
    reasons: Counter[str] = field(default_factory=Counter)
    """of records that failed or did not converge"""
    per_hour: float | None = None
    """records, since the first of the last half hour; None where there are none"""
    fireworks: Counter[str] = field(default_factory=Counter)
    running: list[Running] = field(default_factory=list)
    fizzled: Counter[str] = field(default_factory=Counter)
    """last line of the error → how many fireworks"""

    @property
    def expected(self) -> int | None:
        """How many records there will be, if every structure can be relaxed."""
        if self.n_records is not None:
            return self.n_records
        if self.n_structures is None:
            return None
        return self.n_structures * self.n_potentials * len(self.records)

    @property
    def done(self) -> int:
        """How many records there are."""
        return sum(count.total() for count in self.records.values())

    @property
    def without_start(self) -> int:
        """How many records there will never be, because their relaxation gave no structure."""
        relaxed = self.records.get(FIRST)
        if relaxed is None:
            return 0
        return (relaxed["failed"] + relaxed["unconverged"]) * (len(self.records) - 1)

    @property
    def hours_left(self) -> float | None:
        """What the rate says; None without one, or where nothing is known of what is to come."""
        works = self.fireworks
        ended = works and not any(works[s] for s in ("READY", "RESERVED", "RUNNING", "WAITING"))
        if self.expected is None or not self.per_hour or ended:
            return None
        return max(0, self.expected - self.without_start - self.done) / self.per_hour


def status_of(results: ResultStore, campaign: str, launchpad: LaunchPad | None = None) -> Status:
    """Put together how far a campaign is.

    Parameters
    ----------
    results
        Where its records are.
    campaign
        Its name.
    launchpad
        Where its fireworks are; without it only the records are looked at.

    Raises
    ------
    PetFlowsError
        There is no such campaign.
    """
    head = results.campaigns.head(campaign)
    manifest = head["manifest"] or {}
    potentials = manifest.get("potentials")
    records = counts.by_state(results, campaign, manifest.get("properties") or None)
    from pet_flows.properties.registry import properties

    order = {name: place for place, name in enumerate(properties())}
    found = Status(
        campaign,
        head.get("n_structures", manifest.get("n_inputs")),
        len(potentials) if isinstance(potentials, list) else 1,
        dict(sorted(records.items(), key=lambda one: order.get(one[0], len(order)))),
        head.get("n_records"),
    )
    if any(count["failed"] or count["unconverged"] for count in records.values()):
        found.reasons = counts.reasons(results, campaign)
    now = datetime.now(UTC).replace(tzinfo=None)
    n_recent, first = counts.since(results, campaign, now - RECENT)
    if first is not None:
        found.per_hour = n_recent / max((now - first) / timedelta(hours=1), 1 / 60)
    if launchpad is not None:
        found.fireworks = _states(launchpad, campaign)
        found.running = _running(launchpad, campaign)
        found.fizzled = _fizzled(launchpad, campaign)
    return found


def _states(launchpad: LaunchPad, campaign: str) -> Counter[str]:
    steps = [
        {"$match": {"spec.campaign": campaign}},
        {"$group": {"_id": "$state", "n": {"$sum": 1}}},
    ]
    return Counter({found["_id"]: found["n"] for found in launchpad.fireworks.aggregate(steps)})


def _running(launchpad: LaunchPad, campaign: str) -> list[Running]:
    query = {"spec.campaign": campaign, "state": "RUNNING"}
    fields = {"fw_id": 1, "name": 1, "launches": 1}
    fireworks = list(launchpad.fireworks.find(query, fields, limit=MOST, sort=[("fw_id", 1)]))
    last = [fw["launches"][-1] for fw in fireworks if fw["launches"]]
    # by the server's clock: those of the workers differ
    silence = {"$subtract": ["$$NOW", f"${ALIVE}"]}
    names = {
        "fw_id": 1, "host": 1, "state_history": 1, "fworker.env": 1, "silence": silence,
        ALIVE: 1, witnessed(ALIVE): 1,
    }  # fmt: skip
    launches = {
        launch["fw_id"]: launch
        for launch in launchpad.launches.aggregate(
            [{"$match": {"launch_id": {"$in": last}}}, {"$project": names}]
        )
    }
    now = datetime.now(UTC).replace(tzinfo=None)
    found = []
    for firework in fireworks:
        launch = launches.get(firework["fw_id"], {})
        history: list[dict[str, Any]] = launch.get("state_history") or [{}]
        began, beat = (_time(history[-1].get(name)) for name in ("created_on", "updated_on"))
        said = ((launch.get("fworker") or {}).get("env") or {}).get(HEARTBEAT_SAID)
        silent = (now - (beat or now)).total_seconds()
        if launch.get(ALIVE) is not None and witnessed(ALIVE) not in launch:
            silent = launch["silence"] / 1000
        found.append(
            Running(
                firework["fw_id"],
                firework["name"],
                str(launch.get("host") or "?"),
                (now - (began or now)).total_seconds() / 60,
                silent if said and silent > MISSED * float(said) else None,
            )
        )
    return found


def _fizzled(launchpad: LaunchPad, campaign: str) -> Counter[str]:
    query = {"spec.campaign": campaign, "state": "FIZZLED"}
    found: Counter[str] = Counter()
    for firework in launchpad.fireworks.find(query, {"launches": 1}):
        launch = launchpad.launches.find_one(
            {"launch_id": {"$in": firework["launches"]}},
            {"action.stored_data._exception._stacktrace": 1},
            sort=[("launch_id", -1)],
        )
        data = (((launch or {}).get("action") or {}).get("stored_data") or {}).get("_exception")
        lines = str((data or {}).get("_stacktrace", "")).strip().splitlines()
        found[lines[-1] if lines else "no reason was kept"] += 1
    return found


def _time(value: Any) -> datetime | None:
    """A date as FireWorks keeps it, in UTC without saying so."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
