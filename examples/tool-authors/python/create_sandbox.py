"""Creates a sandbox pod and prints its name, or why it was refused."""

import json
import re
import sys

from kubernetes import client, config

config.load_config()
pod = {
    "metadata": {
        "generateName": "agent-",
        "labels": {"openshell.ai/sandbox": "true"},
        "annotations": {"openshell.ai/policy": "agent-policy"},
    },
    "spec": {
        "containers": [
            {
                "name": "agent",
                "image": "registry.example/agent:1.0",
                "command": ["python", "-m", "agent"],
            }
        ]
    },
}
try:
    created, _, headers = client.CoreV1Api().create_namespaced_pod_with_http_info("agents", pod)
except client.ApiException as refusal:
    status = json.loads(refusal.body)
    sys.exit(f"refused ({status['code']} {status['reason']}): {status['message']}")
# The client leaves warnings in the header: 299 - "a message", 299 - "another", quoted as in JSON.
for message in re.findall(r'299 - ("(?:[^"\\]|\\.)*")', headers.get("Warning", "")):
    print("Warning:", json.loads(message), file=sys.stderr)
print(created.metadata.name)
