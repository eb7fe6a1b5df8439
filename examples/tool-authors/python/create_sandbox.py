"""Creates a sandbox pod and prints its name, or why it was refused."""

import json
import re
import sys

from kubernetes import client, config

config.load_config()
pod = {
    "metadata": {
        "generateName": "agent-",
        "labels": {"openshell.ai/sandbox": "true", "openshell.ai/sandbox-id": "3f1c9a52"},
    },
    "spec": {
        "containers": [
            {
                "name": "agent",
                "image": "registry.example/agent:1.0",
                "command": ["python", "-m", "agent"],
                "env": [{"name": "OPENSHELL_ENDPOINT", "value": "https://openshell.openshell-system.svc:8080"}],
            }
        ]
    },
}
try:
    created, _, headers = client.CoreV1Api().create_namespaced_pod_with_http_info("agents", pod)
except client.ApiException as refusal:
    status = json.loads(refusal.body)
    sys.exit(f"refused ({status['code']} {status['reason']}): {status['message']}")
# The client leaves them in the header: 299 - "a sentence", 299 - "another", quoted as in JSON.
for sentence in re.findall(r'299 - ("(?:[^"\\]|\\.)*")', headers.get("Warning", "")):
    print("Warning:", json.loads(sentence), file=sys.stderr)
print(created.metadata.name)
