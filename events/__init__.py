"""What happened: the vocabulary of facts, the pure rules that decide and fold them, and their wire format.

No thread, clock, file, random number or log line lives in this room, and it imports nothing of ours.
"""
