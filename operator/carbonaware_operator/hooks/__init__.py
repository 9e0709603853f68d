"""Programs that an installation runs once: before an uninstall, after an installation, as a test.

Each is a module for `python -m`, ends by itself in bounded time, and says what it did. They may use
everything of cluster/ and are used by nothing.
"""
