"""What the accounts of a hub keep in memory: bytes per active instance and per counted finish."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.report import Ratio, machine, write_section
from bench.sweeping import DEFAULT_RULES
from exporter.api.times import format_shown_time
from exporter.api.wire import InstanceRow
from exporter.ledger.ledger import Ledger, Source

AT = 1_795_428_000.0
ROWS = 500_000
PAGE = 1000
FINISHES_PER_SECOND = 50.0
MOST_BYTES_PER_ACTIVE = 400.0


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def row(number: int, status: str, at: float, parent: str | None = None) -> InstanceRow:
    """Return a row whose id is as long as the usual ones: 32 hexadecimal digits."""
    moment = format_shown_time(at)
    return InstanceRow(
        f"{number:032x}", "ProcessOrder", status, moment, moment, parent_instance_id=parent
    )


def active_instances(siblings: int = 0) -> float:
    """Follow active instances, so many of each parent if any; returns bytes for each."""
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(AT)
    before = resident_bytes()
    for start in range(0, ROWS, PAGE):
        page = [
            row(number, "Running", AT - number, f"{number // siblings:031x}p" if siblings else None)
            for number in range(start, start + PAGE)
        ]
        ledger.apply_active_page(page, AT)
    return (resident_bytes() - before) / ROWS


def counted_finishes() -> float:
    """Count finishes as they come in; returns bytes for each."""
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(AT)
    ledger.complete_finished(AT)
    before = resident_bytes()
    for start in range(0, ROWS, PAGE):
        at = AT + start / FINISHES_PER_SECOND
        page = [row(number, "Completed", at) for number in range(start, start + PAGE)]
        ledger.apply_rows(page, Source.RECENT, at)
        ledger.complete_finished(at)
    return (resident_bytes() - before) / ROWS


def measured(name: str) -> float:
    """Measure in a process of its own, which nothing else has filled before."""
    command = [sys.executable, "-m", "bench.memory", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, print and write down."""
    active, finish = measured("active_instances"), measured("counted_finishes")
    only, ten = measured("only_children"), measured("ten_siblings")
    name = "bytes per active instance"
    with_parent, with_siblings = f"{name}, each of another parent", f"{name}, ten of each parent"
    lines = [
        f"resident memory of the accounts, {ROWS:,} of each",
        f"  {Ratio(name, active, MOST_BYTES_PER_ACTIVE, at_most=True, unit='B')}",
        f"  {Ratio(with_siblings, ten, MOST_BYTES_PER_ACTIVE, at_most=True, unit='B')}",
        f"  {Ratio(with_parent, only, MOST_BYTES_PER_ACTIVE, at_most=True, unit='B')}",
        f"  {'bytes per counted finish':55} {finish:6.2f} B",
    ]
    print("\n".join(lines))
    write_section("memory", [*machine(), *lines])


if __name__ == "__main__":
    work: dict[str, Callable[[], float]] = {
        "active_instances": active_instances,
        "only_children": partial(active_instances, 1),
        "ten_siblings": partial(active_instances, 10),
        "counted_finishes": counted_finishes,
    }
    if len(sys.argv) > 1:
        print(work[sys.argv[1]]())
    else:
        main()
