"""The xz container, written block by block, and the ARM64 branch filter."""
