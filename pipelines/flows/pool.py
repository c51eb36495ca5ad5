"""A work pool on the user's Prefect server: made ready in one go, as often as one likes; and looked at."""

from datetime import timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowFilter
from prefect.client.schemas.objects import StateType
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.workers.process import ProcessWorker

from pipelines.flows.batch import stylize_batch
from pipelines.flows.deployed import render, retry, season
from pipelines.flows.spread import LOST

TITLES, BATCHES = "titles", "batches"
"""Queues: of runs that mostly wait, and of those that compute."""
POOLED = "stylereel-pool"
"""Tag of every run on a pool: the automations look after these and no others."""
HEARTBEAT_SECONDS = 30
"""The least that Prefect allows."""
SILENT_BEATS = 6
"""A server on SQLite may wait for its own lock for 90 s; a living run must not be taken for lost."""
START_SECONDS = 600
_BEATS = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}
_PEOPLES = {"schedules", "paused", "concurrency_limit", "concurrency_options"}
"""Of a deployment: what is people's to say."""
_RUNS = ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]})
_ON_A_POOL = ResourceSpecification(
    {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{POOLED}"}
)
FILESYSTEM_LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def set_up_pool(name: str) -> dict[str, Any]:
    """Create what is missing of a pool, its deployments and automations; bring the rest up to date."""
    with get_client(sync_client=True) as client:
        _ensure_pool(client, name)
        automations = [_ensure_automation(client, automation) for automation in _automations()]
        flows = {TITLES: (render, retry, season), BATCHES: (stylize_batch,)}
        deployments = [
            _deploy(client, name, queue, work) for queue, several in flows.items() for work in several
        ]
    return {"pool": name, "deployments": deployments, "automations": automations}


def pool_names() -> list[str]:
    """The pools of this server that can paint."""
    batches = FlowFilter.model_validate({"name": {"any_": [stylize_batch.name]}})
    with get_client(sync_client=True) as client:
        return sorted(one.name for one in client.read_deployments(flow_filter=batches))


def missing_automations() -> list[str]:
    """Names of the automations that this server lacks."""
    with get_client(sync_client=True) as client:
        return [one.name for one in _automations() if not client.read_automations_by_name(one.name)]


def lease_storage() -> str:
    """Where this server keeps who holds what: in memory it is lost with the server, and limits stay taken."""
    with get_client(sync_client=True) as client:
        settings = client.request("GET", "/admin/settings").json()
    return str(settings["server"]["concurrency"]["lease_storage"])


def _ensure_pool(client: SyncPrefectClient, name: str) -> None:
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        template["variables"]["properties"]["env"]["default"] = _BEATS
        client.create_work_pool(
            WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template)
        )


def _given(client: SyncPrefectClient, deployment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job variables, GPUs for one, and parameters that people have given a deployment."""
    try:
        found = client.read_deployment_by_name(deployment)
    except ObjectNotFound:
        return {}, {}
    return found.job_variables or {}, found.parameters or {}


def _deploy(client: SyncPrefectClient, pool: str, queue: str, work: Flow[..., Any]) -> str:
    """Make or bring up to date a deployment; what people have said of it stays."""
    name = f"{work.name}/{pool}"
    variables, parameters = _given(client, name)
    deployment = RunnerDeployment.from_flow(
        work,
        name=pool,
        # Here as well: the pool may have been made by hand, and would beat every three minutes.
        job_variables={**variables, "env": {**variables.get("env", {}), **_BEATS}},
        parameters={**parameters, "pool": pool} if queue == TITLES else {},
        tags=[POOLED],
        work_pool_name=pool,
        work_queue_name=queue,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    deployment.model_fields_set.difference_update(_PEOPLES)  # an update tells only what is set
    deployment.apply()
    return name


def _ensure_automation(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    found = client.read_automations_by_name(wanted.name)
    if found:
        client.update_automation(found[0].id, wanted)
    else:
        client.create_automation(wanted)
    return wanted.name


def _automations() -> list[AutomationCore]:
    """A run that falls silent is lost; a lost one has its turn again, and goes on from the manifest.

    Two steps, for Prefect refuses only the first to a run that has ended after all.
    """
    silent = _lost_after("heartbeat", seconds=SILENT_BEATS * HEARTBEAT_SECONDS)
    # A worker says twice that it is about to begin, and may be gone after either.
    unborn = _lost_after("Pending", "Submitting", seconds=START_SECONDS)
    again = AutomationCore(
        name="stylereel: lost runs go back into the queue",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{LOST}"},
            match=_RUNS,
            match_related=_ON_A_POOL,
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[_change(StateType.SCHEDULED, "Rescheduled", "its worker was lost; its turn again")],
    )
    return [silent, unborn, again]


def _lost_after(*events: str, seconds: float) -> AutomationCore:
    return AutomationCore(
        name=f"stylereel: nothing heard after {events[0]}",
        trigger=EventTrigger(
            after={f"prefect.flow-run.{event}" for event in events},
            expect={"prefect.flow-run.*"},
            match=_RUNS,
            match_related=_ON_A_POOL,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=[_change(StateType.CRASHED, LOST, "nothing was heard of it")],
    )


def _change(state: StateType, name: str, message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=state, name=name, message=message, force=False)
