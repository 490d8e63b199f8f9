"""Widgets: they show values that they are given, and know neither the folder nor the app."""
