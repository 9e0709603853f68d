"""Write dashboards, rules and their reference page: `python -m deploy.monitoring`."""

from pathlib import Path

from deploy.monitoring import grafana, health, jobs, nodes, overview, page, rule_files

BOARDS = (overview.BOARD, jobs.BOARD, nodes.BOARD, health.BOARD)
_CHART = Path("helm/carbonaware")


def files() -> dict[Path, str]:
    """Every generated file by its path in the sources."""
    return {
        **{_CHART / f"dashboards/{b.uid}.json": grafana.rendered(b) for b in BOARDS},
        _CHART / "rules/recording.yaml": rule_files.recording_rules(),
        _CHART / "rules/alerts.yaml": rule_files.alerts(),
        Path("docs/dashboards.md"): page.rendered(BOARDS),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
