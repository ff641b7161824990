"""Upgrade a store from an earlier format to this version's."""
