"""The way back for layers that lost modules: the guard that they carry, and their rest packs."""
