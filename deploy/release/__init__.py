"""What a release consists of, and what must hold of it; `make release-check` builds and checks it.

    python -m deploy.release [--base-url URL] [FOLDER]   # dist/ unless said otherwise

Nothing is published from here: docs/release.md says what to do with the files.
"""
