"""The transport into a sandbox of this process; the tree beside this one is its twin."""
