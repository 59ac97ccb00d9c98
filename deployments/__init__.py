"""How the application runs: deployments, schedules, start-up, the command line."""
