"""Its presence puts the folder above on the import path: tests say ``from tests.virtual import ...``."""
