"""The gateway daemon beside an MTA: configuration, listeners, policy, operation."""
