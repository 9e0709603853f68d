"""Run the benchmarks named on the command line, or all of them."""

import importlib
import sys

NAMES = ("agent_cost", "forecast", "grid_faults", "grid_poll", "operator_idle", "power_models")


def main(names: list[str]) -> None:
    """Run each benchmark in turn; exits with 2 and the known names for an unknown one."""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
