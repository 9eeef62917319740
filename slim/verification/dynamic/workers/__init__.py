"""Scripts that run as processes of their own, with the standard library alone; nothing imports them."""
