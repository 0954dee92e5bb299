"""`python -m grafana` regenerates the dashboards."""

from pathlib import Path

from grafana.board import rendered
from grafana.definitions import entities, exporter, fleet, hub, orchestrator

BOARDS = (fleet.BOARD, hub.BOARD, orchestrator.BOARD, entities.BOARD, exporter.BOARD)
FOLDER = Path(__file__).with_name("dashboards")

if __name__ == "__main__":
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(rendered(board), encoding="utf-8")
