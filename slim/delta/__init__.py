"""Update packages: what a client that has one stack needs to make the next one of it, bit for bit."""
