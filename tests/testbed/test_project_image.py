"""The image carries what operator and agent need to run, and no developer's tools."""

from testbed.project_image import runtime_packages, runtime_pins

CONSTRAINTS = """\
aiohttp==3.11.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
mypy==1.13.0 \\
    --hash=sha256:cc
pydantic-core==2.1.0 \\
    --hash=sha256:dd
"""


class TestRuntimePins:
    def test_keeps_the_hashes_of_what_is_needed(self):
        """A block is kept or left out whole."""
        assert runtime_pins(CONSTRAINTS, {"aiohttp", "pydantic-core"}) == (
            "aiohttp==3.11.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
            "pydantic-core==2.1.0 \\\n    --hash=sha256:dd"
        )


class TestRuntimePackages:
    def test_follows_the_needs_of_what_is_needed(self):
        """Kopf needs aiohttp, which needs yarl."""
        assert {"kopf", "aiohttp", "yarl"} <= runtime_packages(("operator",))

    def test_leaves_out_other_extras(self):
        """The agent needs neither the operator's framework nor a test runner."""
        assert not {"kopf", "pytest", "mypy"} & runtime_packages(("agent",))
