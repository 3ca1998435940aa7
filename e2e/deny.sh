#!/usr/bin/env bash
# What the dependencies may be: their licences, where they come from, which are banned; and known weaknesses, where the
# database of those can be fetched. `deny.toml` says which.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --locked --log-level warn check --hide-inclusion-graph bans licenses sources
if timeout 60 cargo deny --locked --log-level off fetch db 2>/dev/null; then
  cargo deny --locked --log-level warn check --hide-inclusion-graph --disable-fetch advisories
else
  echo "check: the database of known weaknesses is out of reach, so dependencies were not held against it" >&2
fi
