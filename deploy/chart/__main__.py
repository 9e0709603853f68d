"""Writes every generated file of the chart: `python -m deploy.chart [FOLDER]`."""

import sys
from pathlib import Path

from deploy.chart import metadata, objects, readme, schema, values

CHART = Path(__file__).parents[2] / "helm" / "carbonaware"
CRDS = Path(__file__).parents[2] / "crds"


def rendered() -> dict[str, str]:
    """Path in the chart -> text, for every generated file."""
    entries = values.entries((CHART / "values.yaml").read_text())
    return {
        **objects.rendered(CRDS),
        "Chart.yaml": metadata.rendered(),
        "README.md": readme.rendered(entries),
        "values.schema.json": schema.rendered(entries),
    }


def main(folder: Path) -> None:
    """Write the files below a chart's folder."""
    for path, text in rendered().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else CHART)
