"""The script of a plugin of Qiita that has no client of its own."""

from __future__ import annotations

# A plugin without a client of its own: what it is started with, and what it does with that.
SCRIPT = """
import configparser, json, os, sys, urllib.parse, urllib.request
url, job, out = sys.argv[1:]
path = os.path.join(os.environ["QIITA_PLUGINS_DIR"], "plain_1.0.conf")
conf = configparser.ConfigParser()
conf.read(path)
def ask(place, data=None, **headers):
    request = urllib.request.Request(url + place, data, headers)
    return urllib.request.urlopen(request).read()
said = {name.lower(): conf["oauth2"][name] for name in ("CLIENT_ID", "CLIENT_SECRET")}
said["grant_type"] = "client"
token = json.loads(ask("/qiita_db/authenticate/", urllib.parse.urlencode(said).encode()))["access_token"]
me = {"Authorization": "Bearer " + token}
facts = {"mode": oct(os.stat(path).st_mode & 0o777), "cwd": os.getcwd(), "out": out, "environment": dict(os.environ)}
facts["coupling"] = conf["network"]["PLUGINCOUPLING"]
facts["job"] = json.loads(ask("/qiita_db/jobs/" + job, **me))
facts["token"] = token
body = b'--x\\r\\nContent-Disposition: form-data; name="%s"; filename="facts"\\r\\n\\r\\n%s\\r\\n--x--\\r\\n'
body %= (out.encode(), json.dumps(facts).encode())
ask("/cloud/push_file_to_central/", body, **me, **{"Content-Type": "multipart/form-data; boundary=x"})
print("at work", file=sys.stderr)
"""
ENDS = {
    "well": """
made = {"facts": {"artifact_type": "JSON", "filepaths": [[out + "/facts", "plain_text"]], "archive": None}}
ask("/qiita_db/jobs/%s/complete/" % job, json.dumps({"success": True, "error": "", "artifacts": made}).encode(), **me)
""",
    "badly": """
said = {"success": False, "error": "no reads left", "artifacts": None}
ask("/qiita_db/jobs/%s/complete/" % job, json.dumps(said).encode(), **me)
""",
    "silently": "sys.exit(3)\n",
    "never": "import time\ntime.sleep(60)\n",
    "without outputs": """
made = {"x": {"artifact_type": "JSON", "filepaths": [[out + "/never", "plain_text"]], "archive": None}}
ask("/qiita_db/jobs/%s/complete/" % job, json.dumps({"success": True, "error": "", "artifacts": made}).encode(), **me)
""",
}

# What a plugin does that is started to register itself.
REGISTERS = (
    SCRIPT.partition("facts =")[0]
    + """
assert job == "register"
info = json.loads(ask("/qiita_db/plugins/plain/1.0/", **me))
command = {"name": "Reverse", "description": "reverses", "required_parameters": "{}", "outputs": "{}"}
assert command["name"] not in info["commands"]
ask("/qiita_db/plugins/plain/1.0/commands/", urllib.parse.urlencode(command).encode(), **me)
"""
)
