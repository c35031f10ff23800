"""How far an experiment is: what is planned, what its runs' files say, and who is told."""
