"""`kubectl carbonaware`: what jobs wait for, why, and a way to start them now.

It decides by planning/rules.py, as the operator does, on what the API server shows.
May import: everything but engine. May not: write anything that a user could not write by kubectl.
"""
