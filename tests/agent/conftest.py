"""Settings for the agent's tests."""

from hypothesis import settings

# A shared machine may stop a test for longer than any deadline.
settings.register_profile("agent", deadline=None)
settings.load_profile("agent")
