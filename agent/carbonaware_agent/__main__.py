"""The command line: the agent itself, or the command that the first argument names."""

import importlib
import sys

_COMMANDS = {
    "calibrate": "carbonaware_agent.calibration.calibrate",
    "fit": "carbonaware_agent.calibration.fit",
    "load": "carbonaware_agent.calibration.load",
}


def main() -> None:
    """Run what the command line asks for.

    Ends the process with 0 when it is done, 1 if it cannot be done, 2 if it was asked wrongly.
    """
    arguments = sys.argv[1:]
    command = _COMMANDS.get(arguments[0]) if arguments else None
    # Imported here: a node that measures does not pay for the commands, nor they for the agent.
    module = importlib.import_module(command or "carbonaware_agent.service")
    module.main(arguments[1:] if command else arguments)


if __name__ == "__main__":
    main()
