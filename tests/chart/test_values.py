"""Values: closed, documented, read, and passed on as the programs take them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from carbonaware_agent import settings as agent_settings
from carbonaware_operator import settings as operator_settings
from chart_builders import CASES, CHART, RefusedError, helm, objects, one, pod_of, text_of
from deploy.chart.values import AnnotationError, Entry, entries

ENTRIES = entries((CHART / "values.yaml").read_text())
TEMPLATES = {
    path.relative_to(CHART).as_posix(): path.read_text()
    for path in sorted((CHART / "templates").rglob("*"))
    if path.is_file() and "templates/crds/" not in path.as_posix()
}
# Wrong values, and the place and problem that Helm must name.
WRONG: dict[str, tuple[dict[str, object], str]] = {
    "a misspelt top-level key": ({"opreator": {}}, "'opreator' not allowed"),
    "a misspelt key of a group": ({"operator": {"replica": 2}}, "'/operator': additional"),
    "a misspelt key two groups down": (
        {"operator": {"settings": {"logLevle": "INFO"}}},
        "'/operator/settings': additional",
    ),
    "a misspelt switch of the CRDs": ({"crds": {"instal": True}}, "'/crds': additional"),
    "a number of replicas in quotes": ({"operator": {"replicas": "2"}}, "'/operator/replicas'"),
    "replicas below zero": ({"operator": {"replicas": -1}}, "'/operator/replicas'"),
    "a log level in the other program's case": (
        {"agent": {"settings": {"logLevel": "INFO"}}},
        "'/agent/settings/logLevel'",
    ),
    "a switch in quotes": ({"agent": {"enabled": "true"}}, "'/agent/enabled'"),
    "a pull policy that does not exist": ({"image": {"pullPolicy": "Sometimes"}}, "/pullPolicy'"),
    "a repository that ends in a slash": ({"image": {"repository": "a/b/"}}, "/repository'"),
    "a tag with the image's name": ({"image": {"tag": "operator:1"}}, "'/image/tag'"),
    "a digest that is none": (
        {"operator": {"image": {"digest": "sha256:12"}}},
        "'/operator/image/digest'",
    ),
    "a duration without a unit": (
        {"operator": {"settings": {"defaultMaxDelay": "24"}}},
        "'/operator/settings/defaultMaxDelay'",
    ),
    "a resource that is neither requested nor limited": (
        {"agent": {"resources": {"request": {}}}},
        "'/agent/resources'",
    ),
    "a toleration with a misspelt field": (
        {"operator": {"tolerations": [{"key": "a", "efect": "NoSchedule"}]}},
        "'/operator/tolerations/0'",
    ),
    "a folder of the node that is relative": (
        {"agent": {"stateHostPath": "var/lib"}},
        "'/agent/stateHostPath'",
    ),
    "a label that is no string": ({"commonLabels": {"team": 7}}, "'/commonLabels/team'"),
    "a label that pods are selected by": (
        {"commonLabels": {"app.kubernetes.io/name": "ours"}},
        "invalid propertyName 'app.kubernetes.io/name'",
    ),
    "a label that tells DaemonSets apart": (
        {"agent": {"podLabels": {"carbonaware.io/nodes": "all"}}},
        "'/agent/podLabels'",
    ),
    "a name too long for a label": ({"nameOverride": "n" * 64}, "'/nameOverride'"),
    "a namespace with a capital": ({"rbac": {"namespaces": ["Team"]}}, "'/rbac/namespaces/0'"),
    "a zone without a source": ({"zones": [{"name": "de", "spec": {}}]}, "'/zones/0/spec'"),
    "a zone whose spec lies beside it": (
        {"zones": [{"name": "de", "source": {"type": "Static"}}]},
        "'/zones/0'",
    ),
    "a provider's Secret without keys": (
        {"providerSecrets": [{"name": "keys", "data": {}}]},
        "'/providerSecrets/0/data'",
    ),
    "a port beyond the last": (
        {"networkPolicies": {"apiServerPorts": [70000]}},
        "'/networkPolicies/apiServerPorts/0'",
    ),
    "a misspelt kind of monitor": (
        {"monitoring": {"servicemonitor": {"enabled": True}}},
        "'/monitoring': additional",
    ),
    "labels of GPU nodes without a value": (
        {"agent": {"gpu": {"nodeSelector": "gpu"}}},
        "'/agent/gpu/nodeSelector'",
    ),
}


def name(entry: Entry) -> str:
    """The path as people write it."""
    return ".".join(entry.path)


class TestSchema:
    @pytest.mark.slow
    @pytest.mark.parametrize("case", CASES)
    def test_accepts_what_ci_uses(self, case):
        """Each case of ci/ passes `helm lint --strict`."""
        helm("lint", "--strict", str(CHART), "--values", str(CASES[case]))

    def test_asks_for_the_image(self):
        """No registry is invented: without one, the message names the key that is missing."""
        with pytest.raises(RefusedError, match=r"at '/image': missing property 'repository'"):
            helm("template", "carbonaware", str(CHART))

    @pytest.mark.slow
    @pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
    def test_refuses(self, values, message, tmp_path):
        """What is misspelt or wrong is refused, and the message says where it is."""
        given = {"image": {"repository": "registry.example.org/carbonaware"}}
        for key, value in values.items():
            given[key] = {**given.get(key, {}), **value} if isinstance(value, dict) else value
        (tmp_path / "values.json").write_text(json.dumps(given))

        with pytest.raises(RefusedError) as refused:
            text_of(tmp_path / "values.json")

        assert message in str(refused.value)

    def test_is_closed_everywhere(self):
        """Only maps whose keys are the user's take keys that nobody knows."""
        schema = json.loads((CHART / "values.schema.json").read_text())

        assert ["/affinity", "/global"] == sorted(
            path for path, node in _nodes(schema) if node.get("additionalProperties") is True
        )
        assert [] == [
            path
            for path, node in _nodes(schema)
            if "properties" in node
            and node.get("additionalProperties", True) is True
            # A CarbonZone's spec is checked by its CRD.
            and not path.endswith("/spec")
        ]


def _nodes(node: object, path: str = "") -> list[tuple[str, dict[str, object]]]:
    """(last key of its path, schema) of each object's schema."""
    if not isinstance(node, dict):
        return []
    mine = [(path, node)] if node.get("type") == "object" else []
    below = [
        found
        for key in ("properties", "definitions")
        for inner, sub in node.get(key, {}).items()
        for found in _nodes(sub, f"/{inner}")
    ]
    return [*mine, *below]


class TestDocumentation:
    def test_a_value_without_a_description_is_refused(self):
        """So that no value can be added without a word on it."""
        with pytest.raises(AnnotationError, match=r"operator\.replicas"):
            entries("# -- The operator.\noperator:\n  replicas: 1\n")

    def test_templates_use_no_value_that_does_not_exist(self):
        """A misspelt path would be empty for ever, and nobody would be told."""
        known = {name(entry) for entry in ENTRIES}
        used = {
            found.rstrip(".")
            for text in TEMPLATES.values()
            for found in re.findall(r"\.Values\.([A-Za-z.]+)", text)
        }

        assert set() == used - known

    @pytest.mark.slow
    @pytest.mark.parametrize("entry", [e for e in ENTRIES if not e.is_group], ids=name)
    def test_every_value_is_read(self, entry, tmp_path):
        """Some case of ci/ sets it, and renders something else without that."""
        cases = [path for path in CASES.values() if _has(path, entry.path)]
        assert cases, f"no case of ci/ sets {name(entry)}"

        assert any(_differs(path, entry, tmp_path) for path in cases)


def _has(path: Path, keys: tuple[str, ...]) -> bool:
    values = yaml.safe_load(path.read_text())
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _differs(path: Path, entry: Entry, folder: Path) -> bool:
    values = yaml.safe_load(path.read_text())
    parent = values
    for key in entry.path[:-1]:
        parent = parent[key]
    # What is required has no default to fall back to.
    parent[entry.path[-1]] = "other.example.org/x" if entry.required else entry.default
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return text_of(path) != text_of(folder / "values.yaml")


class TestArguments:
    @pytest.mark.parametrize("case", [c for c in CASES if c != "agent-only"])
    def test_the_operator_takes_its_own(self, case):
        """The flags are those of the program that reads them."""
        (container,) = pod_of(one(objects(case), "Deployment", "operator"))["containers"]

        given = operator_settings.parse(container["args"])

        assert given.listen.endswith(":8080")
        assert ("carbonaware-agent", "carbonaware-operator") == (
            given.agent_service,
            given.lease_name,
        )

    @pytest.mark.parametrize("case", [c for c in CASES if c != "no-agent"])
    def test_the_agent_takes_its_own(self, case):
        """The flags are those of the program that reads them, for every DaemonSet."""
        sets = [found for found in objects(case) if found["kind"] == "DaemonSet"]
        for found in sets:
            (container,) = pod_of(found)["containers"]

            given = agent_settings.parse(container["args"], {})

            assert 9102 == given.listen[1]
            assert Path("/host") == given.host_root

    def test_what_the_values_say_arrives(self):
        """One setting of each kind, from the case that sets everything."""
        found = objects("everything")
        (operator,) = pod_of(one(found, "Deployment", "operator"))["containers"]
        (agent,) = pod_of(one(found, "DaemonSet", "agent-gpu"))["containers"]

        ours, theirs = (
            operator_settings.parse(operator["args"]),
            agent_settings.parse(agent["args"]),
        )

        assert ("de", 5400.0, 30.0, "DEBUG", 300.0) == (
            ours.default_zone,
            ours.default_max_delay.total_seconds(),
            ours.accounting_interval_seconds,
            ours.log_level,
            ours.sweep_seconds,
        )
        assert (400.0, 90.5, "usage", Path("/etc/carbonaware/curves")) == (
            theirs.max_watts,
            theirs.idle_watts,
            theirs.idle_policy,
            theirs.curves,
        )

    def test_zones_may_name_the_hosts_that_are_built_in(self):
        """The values show the administrator what the operator itself would allow."""
        (operator,) = pod_of(one(objects(), "Deployment", "operator"))["containers"]

        given = operator_settings.parse(operator["args"])

        assert operator_settings.parse([]).allowed_provider_hosts == given.allowed_provider_hosts
        assert (False, None) == (given.allow_local_provider_addresses, given.recordings_folder)

    def test_both_programs_count_in_the_same_periods(self):
        """Energy keeps the hour it was used in only if they agree on it."""
        found = objects(accounting={"periodSeconds": 900})
        (operator,) = pod_of(one(found, "Deployment", "operator"))["containers"]
        (agent,) = pod_of(one(found, "DaemonSet", "agent"))["containers"]

        assert 900 == operator_settings.parse(operator["args"]).accounting_period_seconds
        assert 900 == agent_settings.parse(agent["args"]).accounting_period_seconds
