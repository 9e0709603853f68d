"""A real Kubernetes on one Linux machine, without Docker: for the demo and for cluster tests.

From a shell::

    python -m testbed deps            # Debian packages for a real node (asks for root)
    python -m testbed up              # compile once (minutes), then start in seconds
    python -m testbed images          # build operator and agent, give them to a real node
    python -m testbed status          # what runs; -o json for programs
    python -m testbed kubectl get pods -A
    eval "$(python -m testbed env)"   # KUBECONFIG and PATH for this shell
    python -m testbed down            # leaves no process, mount or interface

From Python::

    from testbed.cluster import Cluster

    with Cluster.start("mine", node="simulated", crds=Path("crds")) as cluster:
        cluster.apply(manifest)
        cluster.kubectl("wait", "--for=condition=Complete", "job/a", "--timeout=60s")
        cluster.restart_apiserver(down_seconds=2)

    with Cluster.start("mine", node="real") as cluster:
        cluster.load_image(project_image("operator"))  # from testbed.project_image
        cluster.helm("install", "carbonaware", "helm/carbonaware")

In tests, ask for the fixture `cluster` (marker `api`) or `real_cluster` (marker `node`).

A real node runs pods in containerd and needs root; testbed.images.BUSYBOX is always loaded, and
pods need `imagePullPolicy: Never`. A simulated node needs no rights: pods run at once and Job pods
succeed after their annotation `testbed.carbonaware.io/run-for` (such as "12s"; 5 s without it).
testbed.simulated_host writes the host files that the agent reads, as if those pods used the
processor.

May import: the standard library, click, requests, PyYAML; never our own packages.
Start reading at cluster.py.
"""
