"""What several reports share: the terminal canvas, sizes as text, Markdown tables, growth sentences."""
