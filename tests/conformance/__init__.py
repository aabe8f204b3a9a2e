"""What real writers wrote, read back: a corpus of generated files, random selections and damaged files."""
