"""Explore all scenarios: `python -m tests.model`; with the name of a rule, show what breaks without this rule."""

import sys

from tests.model.explore import explore
from tests.model.rules import ALL_RULES, NAMES
from tests.model.scenarios import SCENARIOS


def main(rule: str = "") -> int:
    """Explore until an invariant breaks, then return 1."""
    if rule and rule not in NAMES:
        sys.stderr.write("unknown rule; the rules are:  " + ", ".join(NAMES) + "\n")
        return 2
    rules = ALL_RULES.without(rule) if rule else ALL_RULES
    for scenario in sorted(SCENARIOS, key=lambda one: one.disturbances if rule else 0):
        found = explore(scenario, rules)
        outcome = f"{found.breach}" if found.breach else "no invariant is broken"
        sys.stdout.write(
            f"{scenario.name}: {found.states:,} states, {found.steps:,} steps, {found.seconds:.1f} s: {outcome}\n"
        )
        if found.breach:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
