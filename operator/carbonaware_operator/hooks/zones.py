"""Makes zones what values say: `python -m carbonaware_operator.hooks.zones --zones JSON`.

Helm 3 takes an object over as it is: what the same upgrade changes of a custom resource is lost,
because Helm compares what it would write with itself. This writes it after such an upgrade.
"""

import argparse
import json
from typing import Any

from carbonaware_operator.cluster.kube import CARBON_ZONES, KubeClient
from carbonaware_operator.hooks.session import run


async def replace_zones(kube: KubeClient, zones: list[dict[str, Any]]) -> str:
    """Give each zone its spec, where it has another; the last word.

    zones: names and specs. Raises ApiError: a zone is not there, or its spec is refused.
    """
    changed = []
    for zone in zones:
        found = await kube.get(CARBON_ZONES, None, zone["name"])
        if found["spec"] != zone["spec"]:
            await kube.replace(CARBON_ZONES, None, {**found, "spec": zone["spec"]})
            changed.append(zone["name"])
    return f"changed zones: {', '.join(changed) or 'none'}"


def main() -> None:
    """Read the flags and run; ends the process."""
    parser = argparse.ArgumentParser(prog="carbonaware_operator.hooks.zones")
    parser.add_argument("--zones", required=True, type=json.loads)
    given = parser.parse_args()
    run(lambda kube, _: replace_zones(kube, given.zones), seconds=60)


if __name__ == "__main__":
    main()
