"""The demo that an installed package can run: a small network on real handwritten digits."""
