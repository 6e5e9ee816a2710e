"""What much waiting costs: `growth` beside a backlog, `cliffs` of single commands, `spill` to the disk, a message's `footprint`."""
