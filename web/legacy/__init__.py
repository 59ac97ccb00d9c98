"""Multi-Blast 1.x, as VEuPathDB's published web client and its Java plugin speak it."""
