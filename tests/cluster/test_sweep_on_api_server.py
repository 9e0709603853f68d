"""The sweep against a real API server: it takes the versions that are asked for, and pages."""

import json

import pytest

from builders import a_job_body
from carbonaware_operator.cluster.kube import KubeClient, connect
from carbonaware_operator.cluster.sweep import Swept, fill, sweep
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore

pytestmark = pytest.mark.api


async def test_finds_what_the_watch_missed_in_a_list_of_many_pages(cluster, namespace):
    """One job is deleted, one edited and one created, and nobody tells; 600 are two pages."""
    names = [f"job-{number:03}" for number in range(600)]
    jobs = [{**a_job_body(), "metadata": {"name": name}} for name in names]
    document = {"apiVersion": "v1", "kind": "List", "items": jobs}
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(document))
    store, zones = JobStore(), ZoneStore()
    inbox = StoreInbox(
        store,
        zones,
        touch=lambda _: None,
        zone_changed=lambda _: None,
        forgotten=lambda _: None,
        room=lambda _: None,
        name_freed=lambda *_: None,
    )
    api = await connect(str(cluster.kubeconfig))
    try:
        kube = KubeClient(api)
        await fill(kube, inbox, [namespace])
        filled, nothing = len(store.records), await sweep(kube, inbox, store, zones, [namespace])
        cluster.kubectl("delete", "caj", "-n", namespace, "job-000", "--wait=false")
        patch = '{"spec":{"suspend":true}}'
        cluster.kubectl("patch", "caj", "-n", namespace, "job-599", "--type=merge", "-p", patch)
        new = {**a_job_body(), "metadata": {"name": "new"}}
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(new))
        found = await sweep(kube, inbox, store, zones, [namespace])
    finally:
        await api.close()

    assert (600, Swept(0, 0), Swept(1, 2)) == (filled, nothing, found)
    by_name = {record.name: record for record in store.records.values()}
    assert {*names[1:], "new"} == by_name.keys()
    assert by_name["job-599"].suspend
