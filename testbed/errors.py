"""What can go wrong in the testbed.

TestbedError
├── PrerequisiteMissingError   the machine lacks something; the message names the remedy
├── BuildFailedError           a tool could not be compiled or downloaded
├── ComponentFailedError       a process of the cluster died or never became ready
├── NoSuchClusterError         no cluster of that name is recorded on this machine
└── KubectlError               kubectl or helm refused; the message is its own
"""


class TestbedError(Exception):
    """Any failure of the testbed; its message says what to do."""

    __test__ = False  # pytest would collect a class whose name begins with Test


class PrerequisiteMissingError(TestbedError):
    """The machine lacks a program, a right or a kernel feature."""


class BuildFailedError(TestbedError):
    """A tool could not be compiled or downloaded."""


class ComponentFailedError(TestbedError):
    """A process of the cluster died or did not become ready in time."""


class NoSuchClusterError(TestbedError):
    """No cluster of that name is recorded on this machine."""


class KubectlError(TestbedError):
    """Kubectl or helm refused; the message is what it wrote to standard error."""
