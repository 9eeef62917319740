"""Parts that several reports share: canvas, words, Markdown, JUnit, JSON."""
