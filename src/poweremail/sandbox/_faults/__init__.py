"""What can go wrong, and the rules that say when it does."""
