"""What differs between the two stacks and between versions, and safe files."""
