"""Which pod holds which part of which GPU now, as kubelet, the driver and the API server tell.

May import `workloads`, `sources` and `attribution`. Start reading in `holdings`.
"""
