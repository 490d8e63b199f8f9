"""Oracles, generators and drivers that tests share."""
