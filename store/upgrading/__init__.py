"""Upgrade a store from an earlier format to this release's."""
