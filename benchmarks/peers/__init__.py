"""Other durable queues on the same machine, in the same rounds: each in its most durable usual setting, each a file."""
