"""Where the local registry's REST API is."""

HOST = "127.0.0.1"
PORT = 8000
"""What DataPipeline.jl has fixed, and functions of rDataPipeline have by default; another one where it is taken."""


def api_address(port: int = PORT) -> str:
    """Return the address of the API at a port of loopback."""
    return f"http://{HOST}:{port}/api/"
