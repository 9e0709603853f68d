"""The pages: metric names, which are the contract with the operator, and the HTTP endpoints.

May import `saved`, `gpus` and `readings`, never `metering`: a scrape changes nothing. Start reading
in `board`.
"""
