"""Set up a machine for a gateway and its operators (`mailhold setup`)."""
