"""`python -m helm` regenerates parts of the chart."""

from helm.documented import CHART
from helm.generated import generated

if __name__ == "__main__":
    for name, content in generated().items():
        path = CHART / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
