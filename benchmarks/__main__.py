"""Run the benchmarks named on the command line, or all that take minutes only."""

import importlib
import sys

QUICK = (
    "agent_cost",
    "forecast",
    "grid_faults",
    "grid_poll",
    "operator_idle",
    "power_models",
    "store",
)
LONG = ("release", "scale")
"""Each takes many minutes, so they run when they are named; flags behind the name are theirs."""

NAMES = (*QUICK, *LONG)


def main(arguments: list[str]) -> None:
    """Run each benchmark in turn; exits with 2 and the known names for an unknown one."""
    if arguments and arguments[0] in LONG:
        importlib.import_module(f"benchmarks.{arguments[0]}").main(arguments[1:])
        return
    unknown = set(arguments) - set(QUICK)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
        sys.exit(2)
    for name in arguments or QUICK:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
