"""What keys and commands do, by topic, on the values of the desk; nothing here draws."""
