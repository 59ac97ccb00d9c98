"""NCBI's Common URL API, so that clients written for NCBI's server find this one the same."""
