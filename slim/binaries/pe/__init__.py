"""PE files and PDB files of Windows: identification, and what they load."""
