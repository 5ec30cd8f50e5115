"""What the suite stands on: a server process, the official library pointed at it, and a receiver of callbacks."""
