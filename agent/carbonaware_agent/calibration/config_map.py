"""A calibration as a ConfigMap, which agents mount as a folder of curve files."""

import json
from dataclasses import asdict
from typing import Any, Literal

from carbonaware_agent.calibration.procedure import Outcome
from carbonaware_agent.sources.curve_file import Calibration


def render(
    name: str, calibration: Calibration, outcome: Outcome, form: Literal["yaml", "json"]
) -> str:
    """The ConfigMap's text: one key for the kind of machine, so that several can be merged."""
    document = calibration.document() | {
        "measurements": [asdict(each) for each in outcome.measured],
        "validation": [asdict(each) for each in outcome.validation],
    }
    config_map: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {calibration.file_name: json.dumps(document, indent=2) + "\n"},
    }
    if form == "json":
        return json.dumps(config_map, indent=2) + "\n"
    # Imported here because only this needs it.
    import yaml

    class _Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks, for human readers."""

    _Dumper.add_representer(
        str,
        lambda dumper, text: dumper.represent_scalar(
            "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
        ),
    )
    return yaml.dump(config_map, Dumper=_Dumper, sort_keys=False)
