"""The benchmark's beginning and end: see scripts/bench."""

import asyncio
import sys
import time

from . import page, targets
from .plan import Plan
from .processes import BenchError
from .run import carry_out, tell


def main() -> int:
    """Measure, print, and return whether all targets are reached, as an exit code."""
    plan = Plan.read()
    began = time.monotonic()
    try:
        results = asyncio.run(carry_out(plan))
    except BenchError as error:
        tell(f"\n✗ {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    print(page.report(plan, results))
    if plan.complete:
        page.write(plan, results)
    missed = [target for target in targets.find(plan, results) if not target.reached]
    for target in missed:
        tell(f"✗ {target.complaint()}")
    tell(f"{len(missed)} targets missed; {time.monotonic() - began:.0f} seconds")
    return 1 if missed else 0


sys.exit(main())
