"""Setting a machine up for a gateway and its operators (`mailhold setup`)."""
