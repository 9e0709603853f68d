"""`kubectl carbonaware`: what jobs wait for, why, and a way to start them now.

It decides with planning.decide(), as the operator does, on what the API server shows.
May import: everything but engine. May not: write anything that a user could not write by kubectl.
"""
