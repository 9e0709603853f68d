"""The carbonaware operator: holds, releases and accounts for CarbonAwareJobs."""
