#!/usr/bin/env bash
# Builds what `make demo` and `make test` run. The native programs need neither Trunk nor wasm-bindgen, so those are
# built beside them, and then the pages: each side leaves processors idle where it links, or has one crate to wait for.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
tools="${TESSERA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tessera/tools}"
export PATH="$tools/bin:$PATH"
mkdir -p "$target"
log="$target/pages.log"

# Minutes of one processor that each part takes from nothing, measured; none for what is there already.
tools_left=6 pages_left=8 programs_left=19
if command -v trunk >/dev/null && command -v wasm-bindgen >/dev/null; then tools_left=0; fi
if [ -d target/site ]; then pages_left=0; fi
if [ -e "$target/release/edge-api" ]; then programs_left=0; fi

# step N WHAT MINUTES: a line a step, and how long the rest takes on these processors.
step() {
  local minutes=$((($3 + $(nproc) - 1) / $(nproc)))
  if [ "$minutes" -gt 0 ]; then set -- "$1" "$2, about $minutes min left"; fi
  printf 'build: step %s of 4: %s\n' "$1" "$2" >&2
}

step 1 "Debian packages and Rust" $((tools_left + pages_left + programs_left))
bash e2e/setup.sh system

# A group of its own, so that all of it can be stopped at once.
set -m
{
  bash e2e/setup.sh tools
  step 3 "the pages, in WebAssembly" $((pages_left + programs_left / 2)) 2>&3
  trunk --log warn build --config trunk.toml
} 3>&2 >"$log" 2>&1 &
pages=$!
set +m
trap 'kill -- -$pages 2>/dev/null || true' EXIT

step 2 "the programs, and beside them wasm-bindgen and Trunk" $((tools_left + pages_left + programs_left))
cargo build --release --locked --workspace --exclude web --bins
wait "$pages" || { cat "$log" >&2; exit 1; }
trap - EXIT

step 4 "packing the pages" 0
"$target/release/edge-api" --site target/site prepare-site
