#!/bin/bash
# One streamed answer. Usage: examples/chat.sh [QUESTION]
set -euo pipefail
url=${DOUGONG_URL:-http://127.0.0.1:8080}
question=${1:-What is a dougong in Chinese architecture?}
model=$(curl -fsS "$url/v1/models" | python3 -c 'import json, sys; print(json.load(sys.stdin)["data"][0]["id"])')
body=$(python3 -c 'import json, sys
print(json.dumps({"model": sys.argv[1], "stream": True, "max_tokens": 120,
                  "messages": [{"role": "user", "content": sys.argv[2]}]}))' "$model" "$question")
curl -fsSN "$url/v1/chat/completions" -H 'content-type: application/json' -d "$body"
