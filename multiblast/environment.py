"""The environment variables that multiblast reads, and those that it sets for plugins."""

from __future__ import annotations

WORKER = "MULTIBLAST_WORKER"
"""The environment variable with which a run finds the name of its worker."""

PROXY_SECRET = "MULTIBLAST_PROXY_SECRET"  # noqa: S105 - the name of a variable

TASK_RUNNER = "MULTIBLAST_TASK_RUNNER"
"""The environment variable with what runs the tasks of flows, if not threads."""

HTTP_URL = "MULTIBLAST_HTTP_URL"
"""The environment variable with the address of the HTTP service."""

COUPLING = "MULTIBLAST_COUPLING"
GATEWAY = "MULTIBLAST_GATEWAY"
SITE_KEY = "MULTIBLAST_SITE_KEY"
GRANT = "MULTIBLAST_GRANT"
"""The environment variable with how files reach a step."""

COUPLING_BYTES = "MULTIBLAST_COUPLING_BYTES"
"""The environment variable with how much of what was fetched is kept."""

PLUGINS = "MULTIBLAST_PLUGINS"
PLUGINS_DATABASE = "MULTIBLAST_PLUGINS_DATABASE"
GIT_PLUGINS = "GIT_PLUGINS"
"""The environment variables about plugins: further folders, their databases, git repositories (QHAna's own word)."""

CONTAINER_MODE = "CONTAINER_MODE"
"""The environment variable that says what a container is for; QHAna's own word."""

ENVIRONMENT = {
    "MULTIBLAST_HOME": "Directory in which everything is kept that has no other place. "
    "Default: `~/.local/share/multiblast`, or `multiblast` in `$XDG_DATA_HOME`.",
    "MULTIBLAST_USER": "Name of the user who runs a command. Default: nobody.",
    "MULTIBLAST_GUEST": "Token of the guest who runs a command, as `multiblast guests new` prints it. Default: none.",
    "MULTIBLAST_SHARES": "Tokens with which others share jobs, separated by blanks. Default: none.",
    "MULTIBLAST_REGISTRY_USER": "User of the registry whose namespace and data store count. "
    "Default: the user who was bound last.",
    "MULTIBLAST_REGISTRY_TOKEN": "Token to write to a remote registry with, read by `multiblast registry remote`. "
    "Default: it is asked for.",
    GATEWAY: "Address of the gateway that a machine elsewhere works with, such as "
    "https://blast.example.org/gateway. Default: none.",
    GRANT: "What a script shows the gateway, as `multiblast grant` prints it, to fetch and push with "
    "MULTIBLAST_COUPLING=https. Default: none.",
    SITE_KEY: "What a machine elsewhere shows the gateway: the key of its site. Default: none.",
    PROXY_SECRET: "What a proxy sends in X-Proxy-Secret beside the name of a user it has authenticated; see "
    "policy.http.user_header. Default: none, and no proxy is trusted.",
    HTTP_URL: "Address at which people reach the HTTP service; links on runs' pages and of commands lead there. On "
    "loopback, a service that trusts people without a name answers to its host, and to no other of the web's. "
    "Default: that of `make up`, if it runs; without a service, places in the storage are named.",
    WORKER: "Name of a worker, which must differ from all others'. "
    "Default: made from the machine's name and multiblast's home.",
    "MULTIBLAST_CHECKOUT": "Directory of multiblast's repository on the machine of a worker. "
    "Default: the one that the worker was started from.",
    COUPLING: "How files reach a step: `filesystem`, or the URL of a store, such as `s3://BUCKET/PREFIX`. Default: "
    "`filesystem`, which is where results are kept.",
    COUPLING_BYTES: "Most bytes of fetched inputs that are kept in `coupling` in multiblast's home for the next step; "
    "those used longest ago go first. Default: 20000000000.",
    PLUGINS: "Further folders with plugins, separated by colons; what they hold goes before what other places do. "
    "Default: none.",
    PLUGINS_DATABASE: "URL of a PostgreSQL database, not that of jobs, in which plugins with migrations have a schema "
    "each. Default: an SQLite file each in multiblast's home.",
    GIT_PLUGINS: "Further git repositories with plugins, a line `git+URL[@REF][#subdirectory=DIRECTORY]` each. "
    "Default: none.",
    CONTAINER_MODE: "What a container is for: `server` (Prefect's), `worker`, `web` (the HTTP service), `register` or "
    "`all`; the images set it. Default: `server`.",
    "MULTIBLAST_TASK_RUNNER": "Prefect task runner for batches, `MODULE.CLASS` with its parameters after `?`. "
    "Default: threads of the run's own process.",
}
"""What each environment variable of ours means, and what holds without it."""

PLUGIN_EVENTS = "MULTIBLAST_EVENTS"
PLUGIN_DATABASE = "MULTIBLAST_PLUGIN_DATABASE"
PLUGIN_ENVIRONMENT = {
    PLUGIN_EVENTS: "File to which a plugin adds lines of JSON: progress, log, outputs, questions and calls.",
    PLUGIN_DATABASE: "Address of the plugin's own database, if its table has `[state]`.",
}
"""What each environment variable means that we set for plugins, and never read."""
