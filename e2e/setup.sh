#!/usr/bin/env bash
# Installs what the project needs on Debian 12 and skips what is there already. `system` is the packages and Rust
# alone, `tools` what turns the pages into Wasm, and nothing is both; `check`, `peers`, `kernels`, `onnx` and `dispatch` are what
# those commands need. Tools of our own go to the user's cache folder, so that a second checkout finds them.
set -euo pipefail
cd "$(dirname "$0")/.."

what="${1:-}"
tools="${TESSERA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tessera/tools}"
toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
trunk_version=0.21.14
bindgen_version=0.2.130
deny_version=0.20.2
onnx_version=1.23.2
onnxruntime_version=1.32.0
onnxruntime_web_version=1.30.0
tfjs_version=4.22.0
ray_version=2.60.0
hyperqueue_version=0.27.0
export PATH="$tools/bin:$PATH"

say() { printf 'setup: %s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else say "needs root: $*"; exit 1; fi; }

# debian PACKAGE...: those of them that are missing.
debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

rust() {
  command -v rustup >/dev/null || { say "Rust is missing: install it with rustup, then run this again"; exit 1; }
  if ! rustup run "$toolchain" rustc --version >/dev/null 2>&1; then
    say "installing Rust $toolchain"
    rustup toolchain install "$toolchain" --profile minimal --component clippy --component rustfmt
  fi
  rustup target list --toolchain "$toolchain" --installed | grep -qx wasm32-unknown-unknown \
    || rustup target add --toolchain "$toolchain" wasm32-unknown-unknown
  local component
  for component in clippy rustfmt; do
    rustup component list --toolchain "$toolchain" --installed | grep -q "^$component" \
      || rustup component add --toolchain "$toolchain" "$component"
  done
}

# Whether a program is on PATH in this version, whoever installed it.
has() { command -v "$1" >/dev/null && "$1" --version 2>/dev/null | grep -Eq " ${2//./\\.}( |\$)"; }

# Prebuilt by its own authors, where that works within a minute.
prebuilt() {
  command -v cargo-binstall >/dev/null || return 1
  timeout 60 cargo binstall --quiet --no-confirm --disable-telemetry --strategies crate-meta-data --root "$tools" \
    "$1@$2" >/dev/null 2>&1
}

# A tool that runs for seconds is not worth minutes of optimizing, whatever its own profile asks for. The folder is
# one of its own, so that the checkout's is not touched; tools share there what they have in common.
from_source() {
  CARGO_TARGET_DIR="$tools/build" CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 cargo install --quiet --root "$tools" "$@"
}

# tool PROGRAM CRATE VERSION ARGUMENT...: as it is on PATH, else prebuilt, else from source.
tool() {
  local program=$1 crate=$2 version=$3
  shift 3
  if has "$program" "$version"; then return; fi
  if prebuilt "$crate" "$version" && has "$program" "$version"; then return; fi
  from_source "$crate" --version "$version" "$@"
}

web_tools() {
  # Without its lock file, which holds versions that this Rust cannot compile.
  tool wasm-bindgen wasm-bindgen-cli "$bindgen_version" --bin wasm-bindgen
  # Without TLS and the look for updates: it downloads nothing here and serves nothing.
  tool trunk trunk "$trunk_version" --locked --no-default-features
}

# ONNX's own cases come with its Python package, and the answers to whole models from onnxruntime.
onnx_runtime() {
  if "$tools/onnx/bin/python" -c 'import onnx, onnxruntime' 2>/dev/null; then return; fi
  debian python3-venv
  say "installing onnx $onnx_version and onnxruntime $onnxruntime_version"
  python3 -m venv "$tools/onnx"
  "$tools/onnx/bin/pip" install --quiet "onnx==$onnx_version" "onnxruntime==$onnxruntime_version" numpy
}

# The pages that the explorer is compared with, and the engines that ours is compared with in a browser,
# come by npm; nothing else needs it.
npm_itself() { if ! command -v npm >/dev/null; then debian nodejs npm; fi; }

# Schedulers that ours is compared with.
schedulers() {
  local versions="$ray_version $hyperqueue_version"
  if [ "$(cat "$tools/dispatch/versions" 2>/dev/null)" = "$versions" ]; then return; fi
  debian python3-venv
  say "installing Ray $ray_version and HyperQueue $hyperqueue_version"
  python3 -m venv "$tools/dispatch"
  "$tools/dispatch/bin/pip" install --quiet "ray==$ray_version" "hyperqueue==$hyperqueue_version"
  echo "$versions" >"$tools/dispatch/versions"
}

browser_engines() {
  npm_itself
  local versions="$onnxruntime_web_version $tfjs_version"
  if [ "$(cat "$tools/kernels/versions" 2>/dev/null)" = "$versions" ]; then return; fi
  say "installing onnxruntime-web $onnxruntime_web_version and TensorFlow.js $tfjs_version"
  mkdir -p "$tools/kernels"
  npm install --silent --no-audit --no-fund --prefix "$tools/kernels" "onnxruntime-web@$onnxruntime_web_version" \
    "@tensorflow/tfjs-core@$tfjs_version" "@tensorflow/tfjs-backend-webgpu@$tfjs_version" >&2
  echo "$versions" >"$tools/kernels/versions"
}

if [ "$what" != tools ]; then
  debian chromium chromium-driver mesa-vulkan-drivers libvulkan1 postgresql libfaketime fonts-noto-cjk ca-certificates
  rust
fi
case "$what" in
  system) exit ;;
  '' | tools) web_tools ;;
  check) tool cargo-deny cargo-deny "$deny_version" --locked ;;
  onnx) web_tools; onnx_runtime ;;
  peers) web_tools; npm_itself ;;
  kernels) web_tools; browser_engines ;;
  dispatch) schedulers ;;
  *) say "knows nothing of '$what'"; exit 1 ;;
esac
rm -rf "$tools/build"
