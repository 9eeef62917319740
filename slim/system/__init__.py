"""What the operating system and the standard library ask for: locks, signals, scratch folders, durable files, strict JSON."""
