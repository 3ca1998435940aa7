#!/bin/sh
# Installs the Tessera worker for this user and starts it. Arguments go to 'tessera-worker run'.
set -eu
url="@URL@"
case "$(uname -s)" in
  Linux) system=linux ;;
  Darwin) system=macos ;;
  *) echo "tessera: there is no worker for $(uname -s) here" >&2; exit 1 ;;
esac
case "$(uname -m)" in
  x86_64 | amd64) processor=x86_64 ;;
  aarch64 | arm64) processor=aarch64 ;;
  *) echo "tessera: there is no worker for $(uname -m) here" >&2; exit 1 ;;
esac
folder="${TESSERA_HOME:-$HOME/.tessera}/bin"
mkdir -p "$folder"
new=$(mktemp "$folder/tessera-worker.XXXXXX")
trap 'rm -f "$new"' EXIT
if ! curl -fsSL "$url/downloads/tessera-worker-$system-$processor" -o "$new"; then
  echo "tessera: $url has no worker for $system on $processor" >&2
  exit 1
fi
# Compared where a program for it is at hand.
sum=$(curl -fsSL "$url/downloads/SHA256SUMS" | sed -n "s/^\([0-9a-f]\{64\}\)  tessera-worker-$system-$processor\$/\1/p")
if command -v sha256sum >/dev/null; then found=$(sha256sum "$new" | cut -d ' ' -f 1)
elif command -v shasum >/dev/null; then found=$(shasum -a 256 "$new" | cut -d ' ' -f 1)
else found=$sum; fi
if [ "$sum" != "$found" ]; then
  echo "tessera: what was downloaded is damaged: try again" >&2
  exit 1
fi
chmod 755 "$new"
mv "$new" "$folder/tessera-worker"
trap - EXIT
echo "tessera: installed $folder/tessera-worker" >&2
exec "$folder/tessera-worker" run --url "$url" "$@"
