"""What differs between the two stacks and between versions, safe files, run lengths."""
