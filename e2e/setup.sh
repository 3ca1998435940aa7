#!/usr/bin/env bash
# Installs what the project needs on Debian 12 and skips what is there already.
# Tools of our own go to the user's cache folder, so that a second checkout finds them.
set -euo pipefail
cd "$(dirname "$0")/.."

tools="${TESSERA_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/tessera/tools}"
toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
trunk_version=0.21.14
bindgen_version=0.2.130
onnx_version=1.23.2
onnxruntime_version=1.32.0
onnxruntime_web_version=1.30.0
tfjs_version=4.22.0

say() { printf 'setup: %s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else say "needs root: $*"; exit 1; fi; }

packages=()
need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed' || packages+=("$1"); }
for package in chromium chromium-driver mesa-vulkan-drivers libvulkan1 postgresql fonts-noto-cjk ca-certificates; do need "$package"; done
# The pages that the explorer is compared with, and the engines that ours is compared with in a browser,
# come by npm; nothing else needs it.
if { [ "${1:-}" = peers ] || [ "${1:-}" = kernels ]; } && ! command -v npm >/dev/null; then packages+=(nodejs npm); fi
if [ "${#packages[@]}" -gt 0 ]; then
  say "installing ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# ONNX's own cases come with its Python package, and the answers to whole models from onnxruntime.
if [ "${1:-}" = onnx ] && ! "$tools/onnx/bin/python" -c 'import onnx, onnxruntime' 2>/dev/null; then
  say "installing onnx $onnx_version and onnxruntime $onnxruntime_version"
  dpkg-query -W -f='${Status}' python3-venv 2>/dev/null | grep -q 'ok installed' || as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  python3 -m venv "$tools/onnx"
  "$tools/onnx/bin/pip" install --quiet "onnx==$onnx_version" "onnxruntime==$onnxruntime_version" numpy
fi

if [ "${1:-}" = kernels ] && [ "$(cat "$tools/kernels/versions" 2>/dev/null)" != "$onnxruntime_web_version $tfjs_version" ]; then
  say "installing onnxruntime-web $onnxruntime_web_version and TensorFlow.js $tfjs_version"
  mkdir -p "$tools/kernels"
  npm install --silent --no-audit --no-fund --prefix "$tools/kernels" "onnxruntime-web@$onnxruntime_web_version" \
    "@tensorflow/tfjs-core@$tfjs_version" "@tensorflow/tfjs-backend-webgpu@$tfjs_version" >&2
  echo "$onnxruntime_web_version $tfjs_version" >"$tools/kernels/versions"
fi

command -v rustup >/dev/null || { say "Rust is missing: install it with rustup, then run this again"; exit 1; }
if ! rustup run "$toolchain" rustc --version >/dev/null 2>&1; then
  say "installing Rust $toolchain"
  rustup toolchain install "$toolchain" --profile minimal --component clippy --component rustfmt
fi
rustup target list --toolchain "$toolchain" --installed | grep -qx wasm32-unknown-unknown \
  || rustup target add --toolchain "$toolchain" wasm32-unknown-unknown
for component in clippy rustfmt; do
  rustup component list --toolchain "$toolchain" --installed | grep -q "^$component" \
    || rustup component add --toolchain "$toolchain" "$component"
done

# Built in a folder of their own, so that the checkout's target folder is not touched.
build="$tools/build"
if ! "$tools/bin/wasm-bindgen" --version 2>/dev/null | grep -q " $bindgen_version\$"; then
  say "building wasm-bindgen $bindgen_version (2 minutes)"
  CARGO_TARGET_DIR="$build" cargo install --quiet --root "$tools" wasm-bindgen-cli --version "$bindgen_version"
fi
if ! "$tools/bin/trunk" --version 2>/dev/null | grep -q " $trunk_version\$"; then
  say "building trunk $trunk_version (7 minutes)"
  CARGO_TARGET_DIR="$build" cargo install --quiet --locked --root "$tools" trunk --version "$trunk_version"
fi
rm -rf "$build"
