"""The benchmark's command line: see scripts/bench."""

import argparse
import asyncio
import sys
from typing import Final

from . import BenchError, report
from .run import run_all
from .scenarios import SCENARIOS

DELAYS: Final = (0, 20, 100, 200)  # Milliseconds, round trip.
QUICK_DELAYS: Final = (100,)


def main() -> str | int:
    """Measure and print; return a message if something is wrong or a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures sending.")
    parser.add_argument("--quick", action="store_true", help="a first impression in two minutes")
    parser.add_argument("--delay", type=int, nargs="+", metavar="MS", help="only these delays")
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, help="only these scenarios")
    options = parser.parse_args()
    delays = options.delay or (QUICK_DELAYS if options.quick else DELAYS)
    names = options.scenario or SCENARIOS
    try:
        results = asyncio.run(run_all(delays, names, quick=options.quick))
    except BenchError as error:
        return f"✗ {error}"
    except KeyboardInterrupt:
        return 130
    sections = report.sections(results)
    print("\n\n".join(f"## {name}\n\n{text}" for name, text in sections.items()))
    if not (options.quick or options.delay or options.scenario):
        report.write_page(sections)
    missed = report.missed(results)
    print(*missed, f"{len(missed)} targets missed", sep="\n", file=sys.stderr)
    return 1 if missed else 0


sys.exit(main())
