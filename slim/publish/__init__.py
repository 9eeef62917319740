"""Publishing: a stack is staged in a folder, which becomes the output in one rename."""
